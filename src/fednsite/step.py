"""Run an entry point from the command line.

`train.py`, `validate.py` and `predict.py` each define one function of that name and pass it to
`main`. FEDn starts a new Python process for every step, so this module imports very little: a
process that hands its step over to the resident worker exits within a few milliseconds.
"""

import os
import sys

from ._step import Step
from .worker.handover import find_worker, hand_over

# Importing typing would take longer than everything else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["USAGE", "Step", "main"]

USAGE = {
    "train": "python train.py MODEL_IN MODEL_OUT",
    "validate": "python validate.py MODEL_IN VALIDATION_JSON",
    "predict": "python predict.py MODEL_IN PREDICTIONS_JSON",
}


def main(entry_point: "Callable[[Step], Any]") -> None:
    """Run an entry point with the two paths of the command line, and exit.

    Exits with 2 on wrong usage, and with 1 and one line on stderr when the data, the model file
    or the settings are wrong: FEDn's client then stops and writes that line to its log.

    Args:
        entry_point: The function `train`, `validate` or `predict` of the file of that name.
    """
    name = entry_point.__name__
    if name not in USAGE:
        raise SystemExit(f"error: expected a function {', '.join(USAGE)}, found '{name}'")
    if len(sys.argv) != 3:
        print(f"usage: {USAGE[name]}", file=sys.stderr)
        raise SystemExit(2)
    _check_library(os.path.dirname(os.path.abspath(sys.argv[0])))
    model_in, out = sys.argv[1:]
    worker = find_worker()
    code = hand_over(worker, name, model_in, out) if worker else None
    if code is not None:
        # Skip Python's clean-up, which would take longer than everything else here.
        os._exit(code)

    from .execution import Site, execute

    code = execute(entry_point, model_in, out, Site())
    if worker:
        # The worker did not run this step, because it has exited or has another environment.
        from .worker.resident import start

        start()
    raise SystemExit(code)


def _check_library(package: str) -> None:
    """Exit unless the running `fednsite` is the one in the package's folder.

    With PYTHONSAFEPATH, Python would import an installed one instead of the verified one. A
    project's checkout has no `fednsite` next to `train.py` and uses the installed one.
    """
    shipped = os.path.join(package, "fednsite")
    used = os.path.dirname(os.path.abspath(__file__))
    if os.path.isdir(shipped) and not os.path.samefile(shipped, used):
        raise SystemExit(
            f"error: {used}: expected the library of the package, {shipped}; unset PYTHONSAFEPATH "
            "and PYTHONPATH"
        )
