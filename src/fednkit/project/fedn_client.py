"""Run FEDn's command line in a process that ends with its parent.

    python fedn_client.py client start --name site-1 ...

FEDn's client retries forever when the server is gone. If the parent were killed, the client, the
package's worker and the running step would stay. The parent holds the other end of this process'
standard input, which closes in every case when the parent ends.
"""

import os
import signal
import sys
import threading
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Run FEDn's command line until it ends or standard input closes."""
    # FEDn and the package must not import from this folder.
    if Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]
    threading.Thread(target=_end_with_parent, args=(_take_standard_input(),), daemon=True).start()

    from fedn.cli import main as fedn

    # The name of FEDn's own script, for its usage messages.
    sys.argv[0] = "fedn"
    fedn()


def _take_standard_input() -> int:
    """Return a descriptor of standard input that child processes do not inherit."""
    own = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return own


def _end_with_parent(descriptor: int) -> None:
    while os.read(descriptor, 1024):
        pass
    # The process group includes the entry points and their worker, if this process leads it.
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
