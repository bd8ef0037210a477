"""How an entry point hands its step over to the resident worker; see worker.py.

A process that does so is over in a few milliseconds. So this imports little, and the plain
`_socket`: `socket` alone would double the time.
"""

import os
import sys

# The module typing would take longer than all the rest; so would signal.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

FOLDER = ".worker"
SHELLS = ("bash", "dash", "ksh", "sh", "zsh")
# What a shell sets as it goes; it changes no step.
UNIMPORTANT = ("_", "SHLVL", "PWD", "OLDPWD")
# As this process got it: frameworks set variables of their own when they are imported.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in UNIMPORTANT}
# What the worker says when it begins with a step; the exit code follows.
STARTED = b"+"
# Seconds that a worker may be stopped, as by SIGSTOP, before its step is done without it.
FROZEN = 10
STOPPED = ("T", "t")
KILL = 9


def find_worker() -> str | None:
    """Return the socket of this client's worker, or None where it never had one."""
    where = address()
    return where if where and os.path.exists(where) else None


def ask(worker: str, step: str, model_in: str, out: str) -> int | None:
    """Have the worker at a socket do a step; return its exit code.

    Returns None where nobody listens, or where the worker is none for this step. A worker that
    stays frozen is ended, and the answer is None too: the step is then done from its beginning,
    and comes to the same.
    """
    import _socket

    message = b"\0".join([*surroundings(), *map(os.fsencode, (step, model_in, out))])
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (1, 2))
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(worker)
        size = len(message).to_bytes(8, "big")
        connection.sendmsg([size], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
        connection.sendall(message)
        # It says nothing when it is about to end, or when this step is none for it.
        if hear(connection, 1) != STARTED:
            return None
    except OSError:
        return None
    try:
        code = hear(connection, 4)
    except OSError:
        code = b""
    if code is None:
        return None
    if not code:
        line = "the resident worker was killed in the middle of this step; was there memory enough?"
        print(f"error: {line}", file=sys.stderr)
    return int(code or 1)


def hear(connection: "socket", size: int) -> bytes | None:
    """Return what the worker says, at most so many bytes; None when it was frozen and is ended.

    A step takes as long as it takes. So the time alone says nothing, and the worker's state is
    looked at: a stopped process is never about to answer. Where the system does not tell who is
    at the other end, as outside Linux, there is only waiting.
    """
    import _socket

    worker = 0
    if hasattr(_socket, "SO_PEERCRED"):
        # Process, user and group, of four bytes each.
        who = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        worker = int.from_bytes(who[:4], sys.byteorder)
        connection.settimeout(1)
    looks = 0
    while looks < FROZEN:
        try:
            return connection.recv(size)
        except TimeoutError:
            looks = looks + 1 if process(worker)[1] in STOPPED else 0
    line = f"the resident worker was frozen for {FROZEN} s; it is ended, and this step done alone"
    print(f"warning: {line}", file=sys.stderr)
    os.kill(worker, KILL)
    return None


def address() -> str | None:
    """Return where this client's worker listens, or None where there can be no worker.

    The name tells clients apart, in one package folder too. It is relative, because a socket's
    path must be short.
    """
    if os.name != "posix" or os.environ.get("RESIDENT_WORKER") == "off":
        return None
    if not os.path.samefile(os.curdir, os.path.dirname(os.path.abspath(__file__))):
        return None
    parent = os.getppid()
    name, state, above, since = process(parent)
    while name in SHELLS:
        parent = above
        name, state, above, since = process(parent)
    return f"{FOLDER}/{parent}-{since}" if state else None


def process(number: int) -> tuple[str, str, int, str]:
    """Return a process' name, state, parent and start time; no state when it is gone.

    Without /proc, as on macOS, only that it is there: a shell in between then hides the client,
    and every step works alone.
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


def surroundings() -> list[bytes]:
    """Return what a step depends on beside its files: this Python, and the environment."""
    variables = sorted(f"{name}={value}" for name, value in ENVIRONMENT.items())
    return [os.fsencode(text) for text in (sys.prefix, sys.version, *variables)]
