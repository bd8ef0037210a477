"""Processes that end with the command that started them, and what their logs say."""

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

__all__ = ["ONE_THREAD", "PATIENCE_SECONDS", "Process", "Processes", "wait_until"]

# That processes may take to come up, and then to end by themselves.
START_UP_SECONDS, PATIENCE_SECONDS = 60, 5

# One thread a process: sites share this machine, and sums come out the same in every process.
ONE_THREAD = {f"{name}_THREADS": "1" for name in ("POLARS_MAX", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")}
ONE_THREAD |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


class Process:
    """A child process with a log file and a working folder of its own."""

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
                # Open for as long as this process lives: its end tells the child to end too.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, so that its own children can be ended with it and a
                # Ctrl-C in the terminal reaches only this process, which then stops them all.
                start_new_session=True,
            )

    def running(self) -> bool:
        """Tell whether the process is still there."""
        return self.child.poll() is None

    def cause_of_death(self) -> str:
        """Say how the process ended, with the line of its log that tells most."""
        code = self.child.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = [line for line in self.log.read_text("utf-8", "replace").splitlines() if line]
        errors = [line for line in lines if line.startswith("error:") or "[ERROR]" in line]
        # The entry points' own errors start with "error:" and say more than FEDn's, which follow.
        own = [line for line in errors if line.startswith("error:")]
        last = (own or errors or lines or ["its log is empty"])[-1]
        return f"{how}: {last}" if code > 0 else how


class Processes:
    """Starts processes; on leaving the block, none of them is left running."""

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
                process.child.wait(PATIENCE_SECONDS)
            # What a process started may outlive it: an entry point in the middle of training.
            _signal_group(process, signal.SIGKILL)
            process.child.wait()
            if process.child.stdin:
                process.child.stdin.close()


def wait_until(condition: Callable[[], bool], processes: Sequence[Process], otherwise: str) -> None:
    """Wait for a condition; raise `ProjectError` when a process ends or time runs out first."""
    patience = START_UP_SECONDS + 5 * len(processes)
    deadline = time.monotonic() + patience
    while not condition():
        for process in processes:
            if not process.running():
                raise ProjectError(f"{otherwise}: {shown(process.log)}: {process.cause_of_death()}")
        if time.monotonic() > deadline:
            logs = ", ".join(shown(process.log) for process in processes)
            raise ProjectError(f"{otherwise} within {patience} s; see {logs}")
        time.sleep(0.2)


def _signal_group(process: Process, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.child.pid, number)
