"""How every entry point runs: two paths in, an exit code out, one clear line for a mistake.

The work itself is in steps.py. It is imported late: a process that hands its step over to the
resident worker (see worker.py) needs none of it.
"""

import os
import sys

from handover import ask, find_worker


def run(step: str, usage: str) -> None:
    """Do a step of steps.py with the two paths of the command line, and exit.

    Exits 2 on wrong usage. Exits 1 with one line on stderr when the data, the model file or
    the settings are wrong: FEDn's client then stops and reports that line to its log.
    """
    if len(sys.argv) != 3:
        print(f"usage: {usage}", file=sys.stderr)
        raise SystemExit(2)
    model_in, out = sys.argv[1:]
    worker = find_worker()
    code = ask(worker, step, model_in, out) if worker else None
    if code is not None:
        # At once: an orderly end takes longer than all the rest, and there is nothing to end.
        os._exit(code)

    from model.errors import PackageError

    try:
        from steps import Site, perform
    # The data contract is read when the library is imported.
    except PackageError as error:
        raise SystemExit(f"error: {error}") from None
    code = perform(step, model_in, out, Site())
    if worker:
        # It did not do this step, because it is gone or no longer fit.
        from worker import start

        start()
    raise SystemExit(code)
