"""Check a file against the data contract with the package's reader: fednkit check-data."""

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
        file: The file to check, or a folder with a single data file.
    """

    file: Path


def run(options: Options) -> None:
    """Print a summary of the file. Raises `PackageError` with the rule that it breaks."""
    with model_library() as library:
        say(check(library.data, options.file))
