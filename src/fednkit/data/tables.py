"""Read your own tables, write them for the sites, and draft their schema."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown
from ..samples.transactions import EXAMPLES, FILE_NAME, make
from ._table_schema import draft, read_table

__all__ = ["EXAMPLES", "FILE_NAME", "column", "draft", "labels", "make", "read", "write"]


def read(path: Path) -> pl.DataFrame:
    """Read the user's own table, CSV or Parquet. Raises `PackageError`."""
    table = read_table(path)
    if _label() not in table.columns:
        schema = shown(current().client / "model" / "schema.json")
        raise ProjectError(f"{path}: expected the label column '{_label()}' of {schema}")
    return table


def labels(table: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Return the class of each row, int64, shape (rows,), numbered in order of their values."""
    _, classes = np.unique(table[_label()].cast(pl.String).to_numpy(), return_inverse=True)
    return np.asarray(classes, dtype=np.int64)


def column(table: pl.DataFrame, name: str) -> npt.NDArray[Any]:
    """Return one column, shape (rows,). Raises `ProjectError` if it does not exist."""
    if name not in table.columns:
        raise ProjectError(f"--column: expected one of {', '.join(table.columns)}, found '{name}'")
    values = table[name]
    numbers = values.cast(pl.Float64, strict=False)
    # Numbers sort 2 before 10; text does not.
    return (values if numbers.null_count() else numbers).to_numpy()


def write(table: pl.DataFrame, rows: npt.NDArray[np.int64], path: Path) -> None:
    """Write these rows as one site's file."""
    table[rows.tolist()].write_csv(path)


def _label() -> str:
    schema = json.loads((current().client / "model" / "schema.json").read_text(encoding="utf-8"))
    return str(schema["label"])
