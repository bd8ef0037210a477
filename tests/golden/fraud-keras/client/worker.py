"""The resident worker, so that not every step pays for the framework's start. You can ignore it.

Every round, FEDn starts a new Python for `train` and one for `validate`. When its client runs the
package's `startup` command, `python worker.py`, a process is left behind that holds the framework,
the model and the site's data. From then on the entry points hand their step over to it, with
their stdout and stderr (see handover.py), and end with the exit code that it reports. The results
are those of a step that works alone, bit for bit. A step does work alone wherever anything is
amiss: no worker, another Python, environment or version of the package, or no such sockets here.

The worker ends with FEDn's client, when the process that waits for a step is killed, and after
RESIDENT_WORKER_IDLE seconds (3600) without a step. RESIDENT_WORKER=off turns it off.
"""

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

from handover import ENVIRONMENT, FOLDER, STARTED, address, process, surroundings

if TYPE_CHECKING:
    from steps import Site

# Bytes of a message, most of which is the environment, and seconds until it is complete.
LONGEST, HEARD = 1 << 24, 10.0
STEP_NAMES = (b"train", b"validate", b"predict")
# Seconds between two looks at whether FEDn's client is still there.
LOOK = 1.0
# Seconds without a step after which a worker ends.
PATIENCE = os.environ.get("RESIDENT_WORKER_IDLE") or "3600"


def start() -> None:
    """Leave a worker behind that holds nothing of this process.

    It stays in the process group of FEDn's client: whoever ends that as a whole ends it too.
    """
    where = address()
    if where:
        # Without a worker every step works alone, which is no reason to fail.
        with suppress(OSError):
            subprocess.Popen(
                [sys.executable, __file__, where],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


class Worker:
    """A process that does the steps which come in at a socket, one after the other."""

    def __init__(self, where: str) -> None:
        self.socket = Path(where)
        # Before anything is loaded: what changes from now on makes this worker a stale one.
        self.surroundings = surroundings()
        self.sources = [
            path
            for path in Path().rglob("*")
            if path.is_file() and path.suffix != ".pyc" and FOLDER not in path.parts
        ]
        self.states = self.look_at_sources()
        self.resting_since: float | None = None
        self.patience = float(PATIENCE)

        Path(FOLDER).mkdir(mode=0o700, exist_ok=True)
        folder = Path(FOLDER).stat()
        if folder.st_uid != os.getuid() or folder.st_mode & 0o077:
            raise SystemExit(f"error: {FOLDER}: expected a folder that only its owner can enter")
        self.listener = socket.socket(socket.AF_UNIX)
        own = Path(f"{where}.{os.getpid()}")
        self.listener.bind(str(own))
        self.listener.listen()
        self.inode = own.stat().st_ino
        # In one move, so that who finds the socket finds somebody who listens.
        own.replace(self.socket)
        threading.Thread(target=self.watch, daemon=True).start()

    def look_at_sources(self) -> list[tuple[int, ...]]:
        """Return what changes when a file of the package does."""
        found = [path.stat() if path.exists() else None for path in self.sources]
        return [(s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) if s else () for s in found]

    def watch(self) -> None:
        """End this process when FEDn's client has ended, or when nobody needs a worker."""
        client, _, born = self.socket.name.partition("-")
        while True:
            time.sleep(LOOK)
            _, state, _, since = process(int(client))
            if not state or since != born:
                with suppress(OSError):
                    self.socket.unlink()
                    self.socket.parent.rmdir()
                os._exit(0)
            resting = self.resting_since
            idle = resting is not None and time.monotonic() - resting > self.patience
            if idle or not self.holds_place():
                # The socket stays. The next step finds nobody there, and starts a new worker.
                os._exit(0)

    def holds_place(self) -> bool:
        """Tell whether the socket is this worker's: its folder may be gone, or another came."""
        try:
            return self.socket.stat().st_ino == self.inode
        except OSError:
            return False

    def work(self) -> None:
        """Load everything, then do steps; return when one does not fit what was loaded."""
        # Late: the socket is there before the framework, so that a step can wait for both.
        from steps import Site

        site = Site()
        # A step that needs what is missing here will try again, and say what is wrong.
        with suppress(Exception):
            site.classifier()
            site.dataset("train")
            site.dataset("test")
        while True:
            self.resting_since = time.monotonic()
            connection, _ = self.listener.accept()
            self.resting_since = None
            with connection:
                parts, streams = receive(connection)
                if not parts:
                    # Who asked was killed while it did, or is none of our entry points.
                    close(streams)
                    continue
                *theirs, step, model_in, out = parts
                if theirs != self.surroundings or self.look_at_sources() != self.states:
                    # The step hears nothing, works alone, and starts a new worker.
                    return
                connection.sendall(STARTED)
                with abandoned_with(connection), speaking_to(streams):
                    code = do(step.decode(), os.fsdecode(model_in), os.fsdecode(out), site)
                with suppress(OSError):
                    connection.sendall(str(code).encode())
                    connection.shutdown(socket.SHUT_RDWR)
                if code:
                    # Who knows in what state a failed step left the model.
                    site = Site()


def receive(connection: socket.socket) -> tuple[list[bytes], list[int]]:
    """Return the parts of a message and the streams that came along; no parts where it is none."""
    try:
        connection.settimeout(HEARD)
        head, streams, _, _ = socket.recv_fds(connection, 8, 2)
    except OSError:
        return [], []
    size, message = int.from_bytes(head, "big"), b""
    try:
        # No more than that is ever held, whatever size the head tells.
        while len(message) < size <= LONGEST and (piece := connection.recv(size - len(message))):
            message += piece
        connection.settimeout(None)
    except OSError:
        return [], streams
    parts = message.split(b"\0")
    whole = len(head) == 8 and len(message) == size and len(parts) > 3 and len(streams) == 2
    return (parts if whole and parts[-3] in STEP_NAMES else []), streams


def close(streams: list[int]) -> None:
    """Close what came along with a message that is none."""
    for stream in streams:
        os.close(stream)


def do(step: str, model_in: str, out: str, site: "Site") -> int:
    """Do a step as a process of its own would, and return the exit code of that."""
    from steps import perform

    try:
        # Every process warns anew.
        with warnings.catch_warnings():
            return perform(step, model_in, out, site)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    return 1


@contextmanager
def abandoned_with(connection: socket.socket) -> Iterator[None]:
    """End this process at once when who waits for the block is killed in the middle of it."""
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
def speaking_to(streams: list[int]) -> Iterator[None]:
    """Let stdout and stderr of the block be these, which are closed at its end."""
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


def main() -> None:
    """Start a worker, or be one."""
    if len(sys.argv) > 1:
        Worker(sys.argv[1]).work()
        return
    try:
        float(PATIENCE)
    except ValueError:
        line = f"RESIDENT_WORKER_IDLE: expected a number of seconds, found '{PATIENCE}'"
        raise SystemExit(f"error: {line}; every step works alone") from None
    start()


if __name__ == "__main__":
    main()
