"""The commands of join.py: join, check and health."""

import errno
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import _package
from ._client import Attempt, Outcome, run_client, site_environment
from ._settings import archive_path, config_path, data_path, read_settings

# The wait before a restart doubles from the first value up to the second.
FIRST_WAIT_SECONDS = 2
MAX_WAIT_SECONDS = 60
# Give up when the client has ended this many times in a row for the same reason.
MAX_EQUAL_ENDS = 4


def main(arguments: list[str]) -> None:
    """Run the command named by the arguments; exit with one line on a user's mistake."""
    if importlib.util.find_spec("fedn") is None:
        sys.exit(
            f"error: FEDn is not installed for {sys.executable}; make an environment and run this "
            "with its Python, as JOIN.md says"
        )
    match arguments:
        case []:
            join()
        case ["check"]:
            check(data_path())
        case ["check", file]:
            check(Path(file))
        case ["health"]:
            health()
        case ["client", "start", *_]:
            run_client()
        case _:
            print("usage: python join.py [check [FILE] | health]", file=sys.stderr)
            raise SystemExit(2)


def join() -> NoReturn:
    """Run FEDn's client and restart it when it ends; exit with the cause if a restart cannot help.

    Every failure of an entry point ends FEDn's client, and so do many temporary faults. An error
    before the site has joined for the first time is reported at once, without a retry.
    """
    current: Attempt | None = None

    def leave(number: int, frame: FrameType | None) -> None:
        if current:
            current.stop()
        print("left the federation", flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    restarts = Restarts()
    while True:
        attempt = Attempt(read_settings())
        try:
            check(data_path())
            current = attempt
            outcome = attempt.run()
        except OSError as error:
            # For example, the disk is too full to unpack the package.
            outcome = Outcome(str(error), transient=error.errno == errno.ENOSPC)
        wait = restarts.wait_after(outcome)
        if wait is None:
            sys.exit(f"error: {outcome.cause}")
        print(f"FEDn's client ended: {outcome.cause}; trying again in {wait} s", flush=True)
        time.sleep(wait)


class Restarts:
    """Decides whether and when to restart FEDn's client, from the outcomes of its runs."""

    def __init__(self) -> None:
        self.joined = False
        self.last_cause = ""
        self.equal_ends = 0
        self.wait_seconds = FIRST_WAIT_SECONDS

    def wait_after(self, outcome: Outcome) -> int | None:
        """Return how many seconds to wait before the restart; None if a restart cannot help."""
        self.joined |= outcome.joined
        # An update sent in between shows that the previous fault is gone.
        repeated = outcome.cause == self.last_cause and not outcome.sent_update
        self.equal_ends = self.equal_ends + 1 if repeated else 1
        self.last_cause = outcome.cause
        if not self.joined or (self.equal_ends >= MAX_EQUAL_ENDS and not outcome.transient):
            return None
        wait = FIRST_WAIT_SECONDS if outcome.sent_update else self.wait_seconds
        self.wait_seconds = min(2 * wait, MAX_WAIT_SECONDS)
        return wait


def check(file: Path) -> None:
    """Print a summary of the data, or exit with the rule of the data contract that it breaks.

    The package's code reads the data. If client.yaml exists, the package is verified first.

    Args:
        file: The site's data: a file, or a folder that holds exactly one.
    """
    settings = read_settings() if config_path().exists() else {}
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        _package.unpack(archive_path(), settings, Path(folder))
        command = [sys.executable, "-B", "-m", "fednsite.check", str(file.resolve())]
        environment = site_environment()
        code = subprocess.run(command, cwd=folder, env=environment, check=False).returncode
    if code:
        sys.exit(code)


def health() -> None:
    """Return if FEDn's client is running and connected; otherwise exit with code 1 and one line."""
    import psutil

    config = str(config_path())
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        # Another site on this machine may run a client with another client.yaml.
        if words[2:4] == ["client", "start"] and config in words:
            with suppress(psutil.AccessDenied):
                if any(c.status == "ESTABLISHED" for c in process.net_connections()):
                    return
            sys.exit("error: FEDn's client runs, but is not connected")
    sys.exit("error: FEDn's client does not run")
