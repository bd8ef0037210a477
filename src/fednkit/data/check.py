"""Check a file against the data contract, with the package's own reader: fednkit check-data."""

import argparse
from pathlib import Path

from fednsite.check import check

from ..package.library import model_library
from ..project.console import say

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fednkit check-data`."""
    parser.add_argument("file", type=Path, help="or a folder that holds just one")


def run(options: argparse.Namespace) -> None:
    """Say what is in the file. Raises `PackageError` with the rule that it breaks."""
    with model_library() as library:
        say(check(library.data, options.file))
