"""FEDn's command line, in a process that ends with the one that started it.

    python fedn_client.py client start --name site-1 ...

FEDn's client tries for ever to reach a server that is gone. So where its parent is killed, which
leaves no time for a farewell, it would stay; and with it the package's worker and whatever step
it is in. The parent holds the other end of this process' standard input: that closes however the
parent ends.
"""

import os
import signal
import sys
import threading
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Run FEDn's command line until it ends, or until standard input does."""
    # This folder is no place to import from, neither for FEDn nor for the package.
    if Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]
    threading.Thread(target=_end_with_parent, args=(_take_standard_input(),), daemon=True).start()

    from fedn.cli import main as fedn

    # As FEDn's own script is called; its command line is what the process list shows.
    sys.argv[0] = "fedn"
    fedn()


def _take_standard_input() -> int:
    """Return a descriptor of it that children do not inherit; they get an empty one."""
    own = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return own


def _end_with_parent(descriptor: int) -> None:
    while os.read(descriptor, 1024):
        pass
    # The group is that of its entry points and of their worker, unless it was not made for it.
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
