"""One run of FEDn's client: its process, its log, and why it ended."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._package import prepare
from ._settings import LAUNCHER, SITE_FOLDER, archive_path, config_path, data_path

# What FEDn's log says once the client has joined, and when it has sent an update.
JOINED = "Listening to task stream"
SENT_UPDATE = "Sending model update to combiner"
# What FEDn's log says when its client ends, and what a person should do about it. FEDn itself
# exits with 0 in most of these cases.
CAUSES = {
    "Unauthorized": "{url} refuses the token in client.yaml, or the lack of one; ask the initiator "
    "for a token, and write it there",
    "CERTIFICATE_VERIFY_FAILED": "the certificate of {url} is not trusted here; for a root of the "
    "initiator's own, name its file in REQUESTS_CA_BUNDLE and GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "Incorrect URL": "{url} is no FEDn controller; check api_url in client.yaml",
    "Connect to FEDn Api - Error": "no FEDn controller answers at {url}; may this machine "
    "reach it?",
    "No space left on device": "this machine's disk is full, or the part of it that holds {tmp}; "
    "make room there",
    "No combiner available": "{url} has no combiner to work with yet; try again later",
}
# These pass without anybody's help, once this site has been in the federation.
TRANSIENT_CAUSES = (
    "Connect to FEDn Api - Error",
    "No combiner available",
    "No space left on device",
)
# Environment variables that name a file of root certificates.
ROOT_CERTIFICATE_VARIABLES = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)


@dataclass(frozen=True)
class Outcome:
    """How a run of FEDn's client ended."""

    cause: str
    joined: bool = False
    sent_update: bool = False
    # Whether the cause passes without anybody's help.
    transient: bool = False


class ClientLog:
    """What the log of FEDn's client has said so far."""

    def __init__(self) -> None:
        self.joined = self.sent_update = False
        # The last error of an entry point, and the last cause of FEDn's with its text in `CAUSES`.
        self.entry_point_error = self.fedn_cause = ""
        self._fedn_cause_is_transient = False

    def follow(self, lines: Iterable[str]) -> None:
        """Print and read the lines until the log ends."""
        for line in lines:
            print(line, end="", flush=True)
            self.read(line)

    def read(self, line: str) -> None:
        """Take in one line of the log."""
        if line.startswith("error: ") and not any(sign in line for sign in CAUSES):
            self.entry_point_error = line.removeprefix("error: ").strip()
        self.joined |= JOINED in line
        if SENT_UPDATE in line:
            # Errors before this one did not end the client.
            self.sent_update = True
            self.entry_point_error = self.fedn_cause = ""
        for sign, text in CAUSES.items():
            if sign in line:
                self.fedn_cause = text
                self._fedn_cause_is_transient = sign in TRANSIENT_CAUSES
                # A line may hold several; the first one of the table says most.
                break

    def cause(self, api_url: str) -> str:
        """Return why the client ended; an empty text if the log does not say."""
        # An entry point's own error says more than FEDn's, which follow it.
        return self.entry_point_error or self.fedn_cause.format(
            url=api_url, tmp=tempfile.gettempdir()
        )

    @property
    def transient(self) -> bool:
        """Whether the cause passes without anybody's help."""
        return self._fedn_cause_is_transient and not self.entry_point_error


class Attempt:
    """One run of FEDn's client.

    Args:
        settings: What client.yaml says.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.folder: str | None = None
        self.client: subprocess.Popen[str] | None = None

    def run(self) -> Outcome:
        """Run the client until it ends."""
        # A new folder for every run: FEDn never cleans the one that it unpacks packages to.
        self.folder = tempfile.mkdtemp(prefix="package-")
        # FEDn's own download would write to any path that the controller's answer names, before it
        # compares the checksum. So the client runs what is verified here, and downloads nothing.
        try:
            prepare(archive_path(), self.settings, Path(self.folder))
        except BaseException:
            self.stop()
            raise
        self.client = _start_client(self.folder)
        # A step that outlives the client would hold the log open until it is done.
        threading.Thread(target=self._stop_remaining, daemon=True).start()
        log = ClientLog()
        log.follow(self.client.stdout or ())
        code = self.client.wait()
        self.stop()
        cause = log.cause(self.settings["api_url"]) or _exit_cause(code)
        return Outcome(cause, log.joined, log.sent_update, log.transient)

    def _stop_remaining(self) -> None:
        """Wait until the client ends; stop its worker and the step that it was in."""
        if self.client:
            self.client.wait()
        self.stop()

    def stop(self) -> None:
        """Stop the client with its worker and the step that it is in; remove its folder."""
        if self.client:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.client.pid, signal.SIGKILL)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def _start_client(folder: str) -> "subprocess.Popen[str]":
    """Start FEDn's client in the folder with the unpacked package; return its process."""
    certificates = {
        # The client runs in another folder, to which a relative path would not apply.
        name: str(Path(os.environ[name]).resolve())
        for name in ROOT_CERTIFICATE_VARIABLES
        if os.environ.get(name)
    }
    return subprocess.Popen(
        [
            *(sys.executable, str(LAUNCHER), "client", "start"),
            *("-in", str(config_path()), "--local-package"),
        ],
        cwd=folder,
        env={
            **site_environment(),
            **certificates,
            "FEDN_DATA_PATH": str(data_path()),
            "FEDN_PACKAGE_EXTRACT_DIR": folder,
            # The package's commands start `python`; it must be the one that runs this.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        # Open for as long as this process lives: when it closes, the client ends too.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # A process group of its own, so that its entry points can be stopped with it.
        start_new_session=True,
    )


def site_environment() -> dict[str, str]:
    """Return the environment for processes that run the package's code.

    It lacks PYTHONSAFEPATH: the library in the archive must be the first that Python finds.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}


def _exit_cause(code: int) -> str:
    """Return why a client ended whose log does not say."""
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}; was there memory enough?"
    return f"the client ended with exit code {code}; its log says why"


def run_client() -> None:
    """Run `fedn client start ...` in this process, until the process that started it ends.

    FEDn's client tries for ever to reach a server that is gone, so nothing else would end it.
    """
    parent = os.dup(0)
    # The client's own children must not read from the parent.
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def end_with_parent() -> None:
        while os.read(parent, 1024):
            pass
        os.killpg(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_with_parent, daemon=True).start()
    # FEDn must not import from the site's folder.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != SITE_FOLDER]
    from fedn.cli import main as fedn

    sys.argv[0] = "fedn"
    fedn()
