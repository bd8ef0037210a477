"""Check a file against the data contract, with what the package itself reads it with."""

import argparse
from pathlib import Path

from .package import imported_package
from .show import say


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation check-data`."""
    parser.add_argument("file", type=Path, help="or a folder that holds just one")


def run(options: argparse.Namespace) -> None:
    """Say what is in the file. The rule that it breaks becomes a `ProjectError`."""
    with imported_package():
        import check_data

        say(check_data.check(options.file))
