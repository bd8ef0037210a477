"""Draft the schema of a table from the values in its columns."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from fednsite.data.table import READERS, read_frame

from ..project.errors import ProjectError

__all__ = ["draft", "read_table"]

# A text column with more distinct values holds names or remarks, not categories.
MAX_CHOICES = 50
MAX_COLUMNS = 10_000
# Larger values could overflow float32 when scaled.
MAX_NUMBER = 1e29
# Whole numbers that JSON writes and reads back as the same text.
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


def read_table(path: Path) -> pl.DataFrame:
    """Read a table of any columns; the cells of a CSV are read as text.

    Raises:
        PackageError: The file is not a table, is empty, or is too large.
    """
    if not path.is_file() or path.suffix not in READERS:
        raise ProjectError(f"{path}: expected a .csv or .parquet file, found none")

    def check(columns: Sequence[str]) -> None:
        if len(columns) > MAX_COLUMNS:
            raise ProjectError(
                f"{path}: expected up to {MAX_COLUMNS:,} columns, found {len(columns):,}"
            )

    return read_frame(path, check)


def draft(path: Path, label: str | None) -> dict[str, Any]:
    """Return a schema for client/model/schema.json that the table satisfies.

    Limits on numbers are half a range wider than the table's, because other sites have other
    values.

    Args:
        path: A .csv or .parquet file with a value in every cell.
        label: The column to predict. Its most frequent value counts as normal and comes first.

    Raises:
        ProjectError: No model can use a column; the message names it.
    """
    table = read_table(path)
    try:
        table = table.cast(pl.String)
    except pl.exceptions.PolarsError as error:
        cause = str(error).splitlines()[0]
        raise ProjectError(f"{path}: expected cells that are text or numbers: {cause}") from None
    if label not in table.columns:
        found = "none" if label is None else f"'{label}'"
        raise ProjectError(f"--label: expected one of {', '.join(table.columns)}, found {found}")
    for column in table:
        empty = (column.is_null() | (column == "")).arg_true()
        if len(empty):
            raise ProjectError(
                f"{path}: column '{column.name}', row {empty[0] + 1}: expected a value, found an "
                "empty cell; fill it, or remove the row or the column"
            )
    features = [_feature(path, column) for column in table if column.name != label]
    return {"fields": [*features, _label(path, table[label])], "label": label}


def _feature(path: Path, column: pl.Series) -> dict[str, Any]:
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.fill_null(math.nan).is_finite().all():
        values = numbers.to_list()
        if max(map(abs, values)) > MAX_NUMBER:
            raise ProjectError(
                f"{path}: column '{column.name}': expected numbers up to {MAX_NUMBER:g}; remove "
                "it, or measure in another unit"
            )
        whole = column.cast(pl.Int64, strict=False).null_count() == 0
        return {"name": column.name, **_number(values, whole)}
    counts = _values(path, column, "a number, true and false, or a choice")
    if {value.lower() for value in counts} <= {"true", "false"}:
        return {"name": column.name, "type": "boolean"}
    return {"name": column.name, "type": "string", "constraints": {"enum": sorted(counts)}}


def _label(path: Path, column: pl.Series) -> dict[str, Any]:
    """Return the label's field; the most frequent class comes first, as the metrics expect."""
    counts = _values(path, column, "the classes to tell apart")
    if len(counts) < 2:
        raise ProjectError(
            f"{path}: column '{column.name}': expected two classes or more, found only {column[0]}"
        )
    ordinary = max(sorted(counts), key=lambda value: counts[value])
    values: list[Any] = [ordinary, *sorted(counts.keys() - {ordinary})]
    if all(WHOLE.fullmatch(value) for value in values):
        first, *others = (int(value) for value in values)
        values = [first, *sorted(others)]
        return {"name": column.name, "type": "integer", "constraints": {"enum": values}}
    return {"name": column.name, "type": "string", "constraints": {"enum": values}}


def _values(path: Path, column: pl.Series, expected: str) -> dict[str, int]:
    """Return the distinct values of a column and the number of times that each occurs."""
    counts: dict[str, int] = dict(column.value_counts().iter_rows())
    if len(counts) > MAX_CHOICES:
        raise ProjectError(
            f"{path}: column '{column.name}': expected {expected}, found {len(counts):,} different "
            "texts; remove the column, or make few classes of it"
        )
    return counts


def _number(values: list[float], whole: bool) -> dict[str, Any]:
    low, high = min(values), max(values)
    # Smaller differences are rounding errors.
    width = next((span for span in (high - low, abs(high)) if span > 1 / MAX_NUMBER), 1.0)
    digits = 0 if whole and width >= 1 else -math.floor(math.log10(width))
    # The limits do not cross zero if the values do not.
    minimum = 0.0 if low >= 0 else _round(low - width / 2, digits, math.floor)
    maximum = 0.0 if high <= 0 else _round(high + width / 2, digits, math.ceil)
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    spread = _short(spread) if spread > 1 / MAX_NUMBER else 1.0
    kind = int if whole else float
    return {
        "type": "integer" if whole else "number",
        "constraints": {"minimum": kind(minimum), "maximum": kind(maximum)},
        "scale": {"center": _short(mean), "spread": spread},
    }


def _round(value: float, digits: int, outward: Any) -> float:
    factor = 10.0**digits
    return round(float(outward(value * factor) / factor), max(digits, 0))


def _short(value: float) -> float:
    return float(f"{value:.3g}")
