"""How every entry point runs: two paths in, an exit code out, one clear line for a mistake."""

import sys
from collections.abc import Callable
from pathlib import Path

from model.errors import PackageError


def run(work: Callable[[Path, Path], None], usage: str) -> None:
    """Call `work(MODEL_IN, OUT)` with the paths of the command line.

    Exits 2 on wrong usage. Exits 1 with one line on stderr when the data, the model file or
    the settings are wrong: FEDn's client then stops and reports that line to its log.
    """
    if len(sys.argv) != 3:
        print(f"usage: {usage}", file=sys.stderr)
        raise SystemExit(2)
    try:
        work(Path(sys.argv[1]), Path(sys.argv[2]))
    except (PackageError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
