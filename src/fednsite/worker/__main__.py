"""Start or run the resident worker: python -m fednsite.worker, FEDn's `startup` command."""

import sys

from .resident import IDLE_SECONDS, Worker, start

if __name__ == "__main__":
    if len(sys.argv) > 1:
        Worker(sys.argv[1]).run()
    else:
        try:
            float(IDLE_SECONDS)
        except ValueError:
            line = f"RESIDENT_WORKER_IDLE: expected a number of seconds, found '{IDLE_SECONDS}'"
            raise SystemExit(f"error: {line}; every step works alone") from None
        start()
