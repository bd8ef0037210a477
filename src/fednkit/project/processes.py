"""Start processes that end with this command, and report their logs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .errors import ProjectError
from .paths import shown

__all__ = ["ONE_THREAD", "STOP_SECONDS", "Process", "Processes", "wait_until"]

# How long processes may take to start, and to end after SIGTERM.
START_UP_SECONDS, STOP_SECONDS = 60, 5

# One thread per process: sites share this machine, and sums are the same in every process.
ONE_THREAD = {f"{name}_THREADS": "1" for name in ("POLARS_MAX", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")}
ONE_THREAD |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


class Process:
    """A child process with its own log file and working folder."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                # Closes when this process ends, which ends the child.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # In a new process group, so that its children are stopped with it, and Ctrl-C
                # reaches only this process, which then stops them all.
                start_new_session=True,
            )

    def running(self) -> bool:
        """Return whether the process is running."""
        return self.child.poll() is None

    def exit_cause(self) -> str:
        """Return how the process ended, with the most specific line of its log."""
        code = self.child.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = [line for line in self.log.read_text("utf-8", "replace").splitlines() if line]
        errors = [line for line in lines if line.startswith("error:") or "[ERROR]" in line]
        # Errors of entry points start with "error:"; FEDn's, which follow, are less specific.
        own = [line for line in errors if line.startswith("error:")]
        last = (own or errors or lines or ["its log is empty"])[-1]
        return f"{how}: {last}" if code > 0 else how


class Processes:
    """Starts processes, and stops all of them at the end of the `with` block."""

    def __init__(self) -> None:
        self.started: list[Process] = []

    def start(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> Process:
        """Start a process that logs to NAME.log in its working folder."""
        process = Process(name, command, folder, environment)
        self.started.append(process)
        return process

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.started:
            _signal_group(process, signal.SIGTERM)
        for process in self.started:
            with suppress(subprocess.TimeoutExpired):
                process.child.wait(STOP_SECONDS)
            # A child, such as an entry point that is training, may outlive its parent.
            _signal_group(process, signal.SIGKILL)
            process.child.wait()
            if process.child.stdin:
                process.child.stdin.close()


def wait_until(condition: Callable[[], bool], processes: Sequence[Process], otherwise: str) -> None:
    """Wait for a condition; raise `ProjectError` if a process ends or time runs out first."""
    patience = START_UP_SECONDS + 5 * len(processes)
    deadline = time.monotonic() + patience
    while not condition():
        for process in processes:
            if not process.running():
                raise ProjectError(f"{otherwise}: {shown(process.log)}: {process.exit_cause()}")
        if time.monotonic() > deadline:
            logs = ", ".join(shown(process.log) for process in processes)
            raise ProjectError(f"{otherwise} within {patience} s; see {logs}")
        time.sleep(0.2)


def _signal_group(process: Process, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.child.pid, number)
