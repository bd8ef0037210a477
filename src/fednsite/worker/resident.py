"""The resident worker: a process that holds the framework, the model and the site's data.

Entry points hand their step over to it together with their stdout and stderr (see handover.py),
and exit with the code that it reports. The results are those of a step that works alone, bit for
bit. A step does work alone wherever anything differs: no worker, another Python, environment or
version of the package, or no such sockets on this system.

The worker ends with FEDn's client, when the process that waits for a step is killed, and after
RESIDENT_WORKER_IDLE seconds (3600) without a step. RESIDENT_WORKER=off turns it off.
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
# Between two looks at whether FEDn's client is still there.
POLL_SECONDS = 1.0
# Without a step, after which a worker ends.
IDLE_SECONDS = os.environ.get("RESIDENT_WORKER_IDLE") or "3600"


def start() -> None:
    """Leave a worker behind that holds nothing of this process.

    It stays in the process group of FEDn's client: whoever ends that group ends it too.
    """
    address = worker_address()
    if address:
        # Without a worker every step works alone, which is no reason to fail.
        with suppress(OSError):
            subprocess.Popen(
                [sys.executable, "-m", "fednsite.worker", address],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


class Worker:
    """A process that does the steps which come in at a socket, one after the other."""

    def __init__(self, address: str) -> None:
        self.socket = Path(address)
        # Before anything is loaded: what changes from now on makes this worker a stale one.
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
        # In one move, so that who finds the socket finds somebody who listens.
        own.replace(self.socket)
        threading.Thread(target=self._watch, daemon=True).start()

    def run(self) -> None:
        """Load everything, then do steps; return when one does not fit what was loaded."""
        # Late: the socket is there before the framework, so that a step can wait for both.
        from ..execution import Site

        site = Site()
        # A step that needs what is missing here will try again, and say what is wrong.
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
                    # The sender was killed meanwhile, or is none of our entry points.
                    _close(streams)
                    continue
                *theirs, step, model_in, out = parts
                if theirs != self.environment or self._source_states() != self.states:
                    # Without a reply the step works alone, and starts a new worker.
                    return
                connection.sendall(STARTED)
                with _abandoned_with(connection), _output_to(streams):
                    code = _do(step.decode(), os.fsdecode(model_in), os.fsdecode(out), site)
                with suppress(OSError):
                    connection.sendall(str(code).encode())
                    connection.shutdown(socket.SHUT_RDWR)
                if code:
                    # A failed step may have left the model in any state.
                    site = Site()

    def _source_states(self) -> list[tuple[int, ...]]:
        """Return what changes when a file of the package does."""
        found = [path.stat() if path.exists() else None for path in self.sources]
        return [(s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) if s else () for s in found]

    def _watch(self) -> None:
        """End this process when FEDn's client has ended, or when nobody needs a worker."""
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
            if idle or not self._holds_place():
                # The socket stays. The next step finds nobody there, and starts a new worker.
                os._exit(0)

    def _holds_place(self) -> bool:
        """Tell whether the socket is this worker's: its folder may be gone, or another came."""
        try:
            return self.socket.stat().st_ino == self.inode
        except OSError:
            return False


def _receive(connection: socket.socket) -> tuple[list[bytes], list[int]]:
    """Return the parts of a message and the streams sent with it; no parts if it is malformed."""
    try:
        connection.settimeout(MESSAGE_TIMEOUT_SECONDS)
        head, streams, _, _ = socket.recv_fds(connection, 8, 2)
    except OSError:
        return [], []
    size, message = int.from_bytes(head, "big"), b""
    try:
        # The size is the sender's claim: no more than the limit is ever held.
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


def _do(step: str, model_in: str, out: str, site: "Site") -> int:
    """Do a step as a process of its own would, and return the exit code of that."""
    from ..execution import execute

    try:
        # Every process warns anew.
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
def _abandoned_with(connection: socket.socket) -> Iterator[None]:
    """End this process at once if the process that waits for the block is killed meanwhile."""
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
def _output_to(streams: list[int]) -> Iterator[None]:
    """Let stdout and stderr of the block be these streams, which are closed at its end."""
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
