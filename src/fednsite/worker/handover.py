"""Hand a step over from an entry point to the resident worker.

The process of the entry point should exit within a few milliseconds. So this module imports very
little, and `_socket` instead of `socket`, which would double the time.
"""

import os
import sys

# Importing typing would take longer than everything else here; so would signal.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

__all__ = [
    "ENVIRONMENT",
    "STARTED",
    "WORKER_FOLDER",
    "environment_signature",
    "find_worker",
    "hand_over",
    "process_status",
    "worker_address",
]

WORKER_FOLDER = ".worker"
SHELLS = ("bash", "dash", "ksh", "sh", "zsh")
# Shells change these variables; no step depends on them.
SHELL_VARIABLES = ("_", "SHLVL", "PWD", "OLDPWD")
# Saved at the start, because frameworks set more variables when they are imported.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in SHELL_VARIABLES}
# The worker's reply when it starts a step; the exit code follows.
STARTED = b"+"
# A worker that is stopped (SIGSTOP) for this long is killed.
FROZEN_AFTER_SECONDS = 10
STOPPED_STATES = ("T", "t")
SIGKILL = 9


def find_worker() -> str | None:
    """Return the socket of this client's worker, or None if it never had one."""
    address = worker_address()
    return address if address and os.path.exists(address) else None


def hand_over(worker: str, step: str, model_in: str, out: str) -> int | None:
    """Run a step in the worker and return the step's exit code.

    Args:
        worker: The path of the worker's socket.
        step: The name of the entry point.
        model_in: The path of the global model.
        out: The path of the file to write.

    Returns:
        The exit code; None if no worker listens, if it cannot run this step, or if it was frozen
        and had to be killed. The caller then runs the step itself, with the same result.
    """
    import _socket

    message = b"\0".join([*environment_signature(), *map(os.fsencode, (step, model_in, out))])
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (1, 2))
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(worker)
        size = len(message).to_bytes(8, "big")
        connection.sendmsg([size], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
        connection.sendall(message)
        # No reply means that the worker is shutting down or cannot run this step.
        if _receive(connection, 1) != STARTED:
            return None
    except OSError:
        return None
    try:
        code = _receive(connection, 4)
    except OSError:
        code = b""
    if code is None:
        return None
    if not code:
        line = "the resident worker was killed in the middle of this step; was there memory enough?"
        print(f"error: {line}", file=sys.stderr)
    return int(code or 1)


def _receive(connection: "socket", size: int) -> bytes | None:
    """Return up to `size` bytes from the worker; None if it was frozen and has been killed.

    A step may take any time, so the worker's process state decides, not a timeout. Only Linux
    reports the process at the other end; on other systems, this waits without a limit.
    """
    import _socket

    worker = 0
    if hasattr(_socket, "SO_PEERCRED"):
        # Process, user and group, four bytes each.
        credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        worker = int.from_bytes(credentials[:4], sys.byteorder)
        connection.settimeout(1)
    frozen_seconds = 0
    while frozen_seconds < FROZEN_AFTER_SECONDS:
        try:
            return connection.recv(size)
        except TimeoutError:
            stopped = process_status(worker)[1] in STOPPED_STATES
            frozen_seconds = frozen_seconds + 1 if stopped else 0
    line = (
        f"the resident worker was frozen for {FROZEN_AFTER_SECONDS} s; it is ended, and this step "
        "done alone"
    )
    print(f"warning: {line}", file=sys.stderr)
    os.kill(worker, SIGKILL)
    return None


def worker_address() -> str | None:
    """Return the path of the socket of this client's worker, or None if workers cannot run.

    The name is unique to the client, even if several share a package folder. The path is relative
    to that folder, because a socket's path must be short.
    """
    if os.name != "posix" or os.environ.get("RESIDENT_WORKER") == "off":
        return None
    library = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not os.path.samefile(os.curdir, os.path.dirname(library)):
        return None
    parent = os.getppid()
    name, state, above, since = process_status(parent)
    while name in SHELLS:
        parent = above
        name, state, above, since = process_status(parent)
    return f"{WORKER_FOLDER}/{parent}-{since}" if state else None


def process_status(number: int) -> tuple[str, str, int, str]:
    """Return a process' name, state, parent and start time; the state is empty if it has exited.

    Without /proc, as on macOS, only the state is known. If the client starts steps through a shell
    there, the client cannot be found, and every step runs alone.
    """
    try:
        if os.path.exists("/proc/self/stat"):
            with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
                head, _, tail = file.read().rpartition(")")
            fields = tail.split()
            state = "" if fields[0] in "ZX" else fields[0]
            return head.partition("(")[2], state, int(fields[1]), fields[19]
        os.kill(number, 0)
    except OSError:
        return "", "", 0, ""
    return "", "there", 0, ""


def environment_signature() -> list[bytes]:
    """Return everything that a step depends on besides files: this Python and the environment."""
    variables = sorted(f"{name}={value}" for name, value in ENVIRONMENT.items())
    return [os.fsencode(text) for text in (sys.prefix, sys.version, *variables)]
