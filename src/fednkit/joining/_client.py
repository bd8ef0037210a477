"""Run FEDn's client once: start the process, read its log, and find out why it ended."""

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

# FEDn logs these when the client has joined and when it has sent an update.
JOINED = "Listening to task stream"
SENT_UPDATE = "Sending model update to combiner"
# Log messages of a client that ends, and the advice for each. FEDn exits with code 0 in most of
# these cases.
CAUSES = {
    "Unauthorized": "{url} rejects the token in client.yaml, or expects one; ask the initiator for "
    "a token and write it to client.yaml",
    "CERTIFICATE_VERIFY_FAILED": "the certificate of {url} is not trusted here; for a private CA, "
    "name its root in REQUESTS_CA_BUNDLE and GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "Incorrect URL": "{url} is not a FEDn controller; check api_url in client.yaml",
    "Connect to FEDn Api - Error": "no FEDn controller answers at {url}; check api_url in "
    "client.yaml and this machine's firewall",
    "No space left on device": "this machine's disk is full, or the part of it that holds {tmp}; "
    "make room there",
    "No combiner available": "{url} has no combiner yet; try again later",
}
# Temporary once the site has joined: retry them.
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
    """How a run of FEDn's client ended.

    Attributes:
        cause: Why it ended.
        joined: Whether it joined the federation.
        sent_update: Whether it sent an update.
        transient: Whether a retry may help without any change.
    """

    cause: str
    joined: bool = False
    sent_update: bool = False
    transient: bool = False


class ClientLog:
    """The state of a client as read from FEDn's log."""

    def __init__(self) -> None:
        self.joined = self.sent_update = False
        # The last error of an entry point, and the advice for the last error of FEDn.
        self.entry_point_error = self.fedn_cause = ""
        self._fedn_cause_is_transient = False

    def follow(self, lines: Iterable[str]) -> None:
        """Print and parse the lines until the log ends."""
        for line in lines:
            print(line, end="", flush=True)
            self.read(line)

    def read(self, line: str) -> None:
        """Parse one line of the log."""
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
                # A line may match several; the first in the table is the most specific.
                break

    def cause(self, api_url: str) -> str:
        """Return why the client ended; "" if the log does not say."""
        # An entry point's error is more specific than the FEDn errors that follow it.
        return self.entry_point_error or self.fedn_cause.format(
            url=api_url, tmp=tempfile.gettempdir()
        )

    @property
    def transient(self) -> bool:
        """Whether a retry may help without any change."""
        return self._fedn_cause_is_transient and not self.entry_point_error


class Attempt:
    """One run of FEDn's client.

    Args:
        settings: The content of client.yaml.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.folder: str | None = None
        self.client: subprocess.Popen[str] | None = None

    def run(self) -> Outcome:
        """Run the client until it ends."""
        # A new folder for every run, because FEDn never cleans its unpack folder.
        self.folder = tempfile.mkdtemp(prefix="package-")
        # FEDn's download writes to any path that the controller names, before it compares the
        # checksum. So the client runs the package verified here and downloads nothing.
        try:
            prepare(archive_path(), self.settings, Path(self.folder))
        except BaseException:
            self.stop()
            raise
        self.client = _start_client(self.folder)
        # Otherwise a training step that outlives the client keeps the log open.
        threading.Thread(target=self._stop_remaining, daemon=True).start()
        log = ClientLog()
        log.follow(self.client.stdout or ())
        code = self.client.wait()
        self.stop()
        cause = log.cause(self.settings["api_url"]) or _exit_cause(code)
        return Outcome(cause, log.joined, log.sent_update, log.transient)

    def _stop_remaining(self) -> None:
        """Wait until the client ends, then stop its worker and the running step."""
        if self.client:
            self.client.wait()
        self.stop()

    def stop(self) -> None:
        """Stop the client, its worker and the running step; remove its folder."""
        if self.client:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.client.pid, signal.SIGKILL)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def _start_client(folder: str) -> "subprocess.Popen[str]":
    """Start FEDn's client in the folder with the unpacked package; return its process."""
    certificates = {
        # The client runs in another folder, where relative paths are wrong.
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
            # The package's commands start `python`, which must be this interpreter.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        # Closes when this process ends, which ends the client.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # In a new process group, so that entry points are stopped with the client.
        start_new_session=True,
    )


def site_environment() -> dict[str, str]:
    """Return the environment for processes that run the package's code.

    It omits PYTHONSAFEPATH, so that Python finds the library in the archive first.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}


def _exit_cause(code: int) -> str:
    """Return why the client ended, from its exit code."""
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}; was there memory enough?"
    return f"the client ended with exit code {code}; see its log"


def run_client() -> None:
    """Run `fedn client start ...` in this process until its parent process ends.

    FEDn's client retries forever when the server is gone, so it would not end by itself.
    """
    parent = os.dup(0)
    # The client's child processes must not read from the parent.
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
