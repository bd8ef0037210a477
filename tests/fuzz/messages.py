"""What comes in at the resident worker's socket: the kind `message`."""

import contextlib
import socket
import sys
from pathlib import Path
from random import Random

from fednsite.worker import resident
from fuzz.kinds import Target, WrongError
from fuzz.mutation import NUMBERS, broken

# What is sent, what size its head tells, and how many streams come along.
Message = tuple[bytes, bytes, int]
GOOD = b"\0".join([b"/usr", b"3.11", b"A=1", b"train", b"in", b"out"])


def framed(content: bytes, size: int | None = None, streams: int = 2) -> Message:
    """Return a message with a head that may lie."""
    said = len(content) if size is None else size
    return content, (said % (1 << 64)).to_bytes(8, "big"), streams


CORPUS = {
    "a good message": framed(GOOD),
    "nothing": (b"", b"", 0),
    "a head alone": framed(b"", 100),
    "half a head": (b"", b"\0\0", 2),
    "a size of nothing": framed(GOOD, 0),
    "a size beyond all memory": framed(GOOD, 2**64 - 1),
    "a size of 1 TB": framed(GOOD, 1 << 40),
    "a size that is one too large": framed(GOOD, len(GOOD) + 1),
    "a size that is one too small": framed(GOOD, len(GOOD) - 1),
    "no streams": framed(GOOD, streams=0),
    "one stream": framed(GOOD, streams=1),
    "three streams": framed(GOOD, streams=3),
    "no parts": framed(b"train"),
    "two parts": framed(b"train\0in"),
    "three parts": framed(b"train\0in\0out"),
    "an unknown step": framed(GOOD.replace(b"train", b"erase")),
    "a step that is no text": framed(GOOD.replace(b"train", b"\xff\xfe")),
    "nothing but ends of parts": framed(bytes(10_000)),
}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def message(scratch: Path) -> Target:
    """Receive a message as the worker does."""
    resident.MESSAGE_TIMEOUT_SECONDS = 0.2

    def judge(case: Message) -> bool:
        content, head, count = case
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        held = open_files()
        with ours, theirs:
            numbers = b"".join(n.to_bytes(4, sys.byteorder) for n in (1, 2, 0)[:count])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if count else []
            if head:
                theirs.sendmsg([head], rights)
            theirs.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                theirs.sendall(content)
            theirs.shutdown(socket.SHUT_WR)
            parts, streams = resident._receive(ours)
            resident._close(streams)
        if open_files() != held - 2:
            raise WrongError("keeps streams open")
        if not parts:
            return False
        size = int.from_bytes(head, "big")
        known = parts[-3] in (b"train", b"validate", b"predict")
        if parts != content[:size].split(b"\0") or not known:
            raise WrongError(f"received {parts}")
        return True

    def generate(random: Random) -> Message:
        content = broken(random, GOOD) if random.random() < 0.6 else GOOD
        size = random.choice([None, None, None, *NUMBERS, random.randrange(100)])
        return framed(content, size, random.choice([2, 2, 2, 2, 0, 1, 3]))

    return Target(CORPUS, ["a good message"], generate, judge)
