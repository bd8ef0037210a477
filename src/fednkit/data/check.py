"""Check a file against the data contract, with the package's own reader: fednkit check-data."""

from dataclasses import dataclass
from pathlib import Path

from fednsite.check import check

from ..package.library import model_library
from ..project.console import say

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `fednkit check-data`.

    Attributes:
        file: The file, or a folder that holds just one.
    """

    file: Path


def run(options: Options) -> None:
    """Say what is in the file. Raises `PackageError` with the rule that it breaks."""
    with model_library() as library:
        say(check(library.data, options.file))
