"""The resident worker: a process that keeps the framework, the model and the site's data.

Entry points hand over their step with their stdout and stderr (see handover.py), and exit with the
code that the worker reports. The results equal those of a step that runs alone, bit for bit. A step
runs alone if there is no worker, if its Python, environment or package differs from the worker's,
or if the system has no Unix sockets.

The worker exits with FEDn's client, when the process that waits for a step is killed, and after
RESIDENT_WORKER_IDLE seconds (3600) without a step. RESIDENT_WORKER=off disables it.
"""

import importlib
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .handover import (
    ENVIRONMENT,
    STARTED,
    WORKER_FOLDER,
    environment_signature,
    process_status,
    worker_address,
)

if TYPE_CHECKING:
    from ..execution import Site

__all__ = ["IDLE_SECONDS", "Worker", "start"]

# Most of a message is the environment.
MAX_MESSAGE_BYTES = 1 << 24
MESSAGE_TIMEOUT_SECONDS = 10.0
STEP_NAMES = (b"train", b"validate", b"predict")
# How often the worker checks that FEDn's client still runs.
POLL_SECONDS = 1.0
# The worker exits after this time without a step.
IDLE_SECONDS = os.environ.get("RESIDENT_WORKER_IDLE") or "3600"


def start() -> None:
    """Start a worker in the background, with none of this process's streams.

    It stays in the process group of FEDn's client, so that signals to the group stop it too.
    """
    address = worker_address()
    if address:
        # Not an error: without a worker, every step runs alone.
        with suppress(OSError):
            subprocess.Popen(
                [sys.executable, "-m", "fednsite.worker", address],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


class Worker:
    """Runs the steps that arrive at a socket, one at a time."""

    def __init__(self, address: str) -> None:
        self.socket = Path(address)
        # Recorded before anything is loaded: later changes make this worker outdated.
        self.environment = environment_signature()
        self.sources = [
            path
            for path in Path().rglob("*")
            if not {"__pycache__", WORKER_FOLDER} & {*path.parts} and path.is_file()
        ]
        self.states = self._source_states()
        self.idle_since: float | None = None
        self.idle_seconds = float(IDLE_SECONDS)

        Path(WORKER_FOLDER).mkdir(mode=0o700, exist_ok=True)
        folder = Path(WORKER_FOLDER).stat()
        if folder.st_uid != os.getuid() or folder.st_mode & 0o077:
            raise SystemExit(
                f"error: {WORKER_FOLDER}: expected a folder that only its owner can enter"
            )
        self.listener = socket.socket(socket.AF_UNIX)
        own = Path(f"{address}.{os.getpid()}")
        self.listener.bind(str(own))
        self.listener.listen()
        self.inode = own.stat().st_ino
        # Renamed last, so that a socket under this name always has a listener.
        own.replace(self.socket)
        threading.Thread(target=self._watch, daemon=True).start()

    def run(self) -> None:
        """Load everything, then run steps; return at a step that needs another environment."""
        # Imported after the socket exists, so that early steps wait instead of running alone.
        from ..execution import Site

        site = Site()
        # The step that needs it tries again, and reports the error.
        with suppress(Exception):
            site.model()
            site.examples("train")
            site.examples("test")
        while True:
            self.idle_since = time.monotonic()
            connection, _ = self.listener.accept()
            self.idle_since = None
            with connection:
                parts, streams = _receive(connection)
                if not parts:
                    # The sender was killed meanwhile, or is not an entry point.
                    _close(streams)
                    continue
                *theirs, step, model_in, out = parts
                if theirs != self.environment or self._source_states() != self.states:
                    # Without a reply, the step runs alone and starts a new worker.
                    return
                connection.sendall(STARTED)
                with _exit_on_disconnect(connection), _redirect_output(streams):
                    code = _run_step(step.decode(), os.fsdecode(model_in), os.fsdecode(out), site)
                with suppress(OSError):
                    connection.sendall(str(code).encode())
                    connection.shutdown(socket.SHUT_RDWR)
                if code:
                    # A failed step may have left the model in any state.
                    site = Site()

    def _source_states(self) -> list[tuple[int, ...]]:
        """Return the size, times and inode of each file in the package, to detect changes."""
        found = [path.stat() if path.exists() else None for path in self.sources]
        return [(s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) if s else () for s in found]

    def _watch(self) -> None:
        """Exit when FEDn's client has exited, after the idle time, or if the socket is gone."""
        client, _, born = self.socket.name.partition("-")
        while True:
            time.sleep(POLL_SECONDS)
            _, state, _, since = process_status(int(client))
            if not state or since != born:
                with suppress(OSError):
                    self.socket.unlink()
                    self.socket.parent.rmdir()
                os._exit(0)
            idle_since = self.idle_since
            idle = idle_since is not None and time.monotonic() - idle_since > self.idle_seconds
            if idle or not self._owns_socket():
                # The socket file stays, so that the next step starts a new worker.
                os._exit(0)

    def _owns_socket(self) -> bool:
        """Return whether the socket is still this worker's, not deleted or another worker's."""
        try:
            return self.socket.stat().st_ino == self.inode
        except OSError:
            return False


def _receive(connection: socket.socket) -> tuple[list[bytes], list[int]]:
    """Return the parts of a message and its streams; no parts if the message is malformed."""
    try:
        connection.settimeout(MESSAGE_TIMEOUT_SECONDS)
        head, streams, _, _ = socket.recv_fds(connection, 8, 2)
    except OSError:
        return [], []
    size, message = int.from_bytes(head, "big"), b""
    try:
        # The size is untrusted, so the limit applies.
        while len(message) < size <= MAX_MESSAGE_BYTES:
            if not (piece := connection.recv(size - len(message))):
                break
            message += piece
        connection.settimeout(None)
    except OSError:
        return [], streams
    parts = message.split(b"\0")
    whole = len(head) == 8 and len(message) == size and len(parts) > 3 and len(streams) == 2
    return (parts if whole and parts[-3] in STEP_NAMES else []), streams


def _close(streams: list[int]) -> None:
    for stream in streams:
        os.close(stream)


def _run_step(step: str, model_in: str, out: str, site: "Site") -> int:
    """Run a step like a separate process, and return its exit code."""
    from ..execution import execute

    try:
        # Repeat warnings in each step, as a new process would.
        with warnings.catch_warnings():
            entry_point = getattr(importlib.import_module(step), step)
            return execute(entry_point, model_in, out, site)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    return 1


@contextmanager
def _exit_on_disconnect(connection: socket.socket) -> Iterator[None]:
    """Exit at once if the process that waits for the block is killed meanwhile."""
    done = threading.Event()

    def wait() -> None:
        with suppress(OSError):
            connection.recv(1)
        if not done.is_set():
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    yield
    done.set()


@contextmanager
def _redirect_output(streams: list[int]) -> Iterator[None]:
    """Redirect the block's stdout and stderr to these streams, and close them at its end."""
    own = [os.dup(1), os.dup(2)]
    try:
        for number, stream in zip((1, 2), streams, strict=True):
            os.dup2(stream, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, stream in zip((1, 2), own, strict=True):
            os.dup2(stream, number)
        for stream in (*own, *streams):
            os.close(stream)
