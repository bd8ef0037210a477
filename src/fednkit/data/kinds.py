"""The kinds of data that projects use: tables and images, by the task that they started from."""

import importlib
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..project.config import current
from ..project.errors import ProjectError

__all__ = ["Kind", "Rows", "Sample", "kind"]

MODULES = {"fraud": "tables", "mnist": "images"}

# What `make` and `read` return: a table, or images with their labels.
Sample = Any
# Row numbers.
Rows = npt.NDArray[np.int64]


class Kind(Protocol):
    """A module for one kind of data."""

    FILE_NAME: str
    EXAMPLES: int

    def make(self, examples: int | None, seed: int) -> Sample:
        """Return sample data; equal seeds give equal data."""

    def read(self, path: Path) -> Sample:
        """Read the user's own file. Raises `PackageError`."""

    def labels(self, sample: Sample) -> Rows:
        """Return the class of each example, int64, shape (examples,)."""

    def column(self, sample: Sample, name: str) -> npt.NDArray[Any]:
        """Return one column, shape (examples,). Raises `ProjectError` if it does not exist."""

    def write(self, sample: Sample, rows: Rows, path: Path) -> None:
        """Write the examples in these rows as one site's file."""

    def draft(self, path: Path, label: str | None) -> dict[str, Any]:
        """Return a schema that the file satisfies. Raises `PackageError`."""


def kind() -> Kind:
    """Return the kind of data that this project uses."""
    task = current().task
    if task not in MODULES:
        raise ProjectError(
            f"{current().root / 'pyproject.toml'}: task: expected one of {', '.join(MODULES)}, "
            f"found '{task}'"
        )
    # Imported late, because projects with images may not have the library that reads tables.
    return cast(Kind, importlib.import_module(f"..data.{MODULES[task]}", __package__))
