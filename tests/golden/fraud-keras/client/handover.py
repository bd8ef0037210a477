"""How an entry point hands its step over to the resident worker; see worker.py.

A process that does so is over in a few milliseconds. So this imports little, and the plain
`_socket`: `socket` alone would double the time.
"""

import os
import sys

FOLDER = ".worker"
SHELLS = ("bash", "dash", "ksh", "sh", "zsh")
# What a shell sets as it goes; it changes no step.
UNIMPORTANT = ("_", "SHLVL", "PWD", "OLDPWD")
# As this process got it: frameworks set variables of their own when they are imported.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in UNIMPORTANT}
# What the worker says when it begins with a step; the exit code follows.
STARTED = b"+"


def find_worker() -> str | None:
    """Return the socket of this client's worker, or None where it never had one."""
    where = address()
    return where if where and os.path.exists(where) else None


def ask(worker: str, step: str, model_in: str, out: str) -> int | None:
    """Have the worker at a socket do a step; return its exit code.

    Returns None where nobody listens, or where the worker is none for this step.
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
        if connection.recv(1) != STARTED:
            return None
    except OSError:
        return None
    try:
        code = connection.recv(4)
    except OSError:
        code = b""
    if not code:
        line = "the resident worker was killed in the middle of this step; was there memory enough?"
        print(f"error: {line}", file=sys.stderr)
    return int(code or 1)


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
