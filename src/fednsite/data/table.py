"""A site's table, read from CSV or Parquet and checked against the schema."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import PackageError
from ..files import stderr_discarded
from .examples import Array, Part, select
from .location import data_file
from .schema import Field, Schema

__all__ = ["READERS", "Table", "read_frame", "read_table"]

READERS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    # As text, so that error messages can quote invalid cells as they are in the file.
    ".csv": lambda path: pl.scan_csv(path, infer_schema=False, glob=False),
    ".parquet": lambda path: pl.scan_parquet(path, glob=False),
}
# Limit on the cells of a table, which take 16 bytes each, because a few kilobytes of Parquet can
# unpack to more than any memory. Raise it for larger data.
MAX_CELLS = 1_000_000_000
# Limit on a CSV's first line, which contains the column names.
MAX_HEADER_BYTES = 1 << 20


class Table:
    """Rows of a site's table that satisfy the schema.

    `table["amount"]` is a column, shape (rows,): float64 for numbers, 0.0 and 1.0 for booleans,
    and text for a choice. The label is not among the columns.

    Attributes:
        encoded: float32, shape (rows, encoded columns): scaled numbers, booleans as 0 and 1, and
            one column per value of a choice.
        labels: int64, shape (rows,), the index of each row's class.
    """

    def __init__(self, schema: Schema, rows: pl.DataFrame, encoded: Array, labels: Array) -> None:
        self._fields = {field.name: field for field in schema.features}
        self._rows = rows
        self.encoded = encoded
        self.labels = labels

    @classmethod
    def blank(cls, schema: Schema) -> "Table":
        """Return a table with one valid row, to determine the shape of the features."""
        cells = {
            field.name: field.choices[0]
            if field.choices
            else min(max(field.minimum, 0.0), field.maximum)
            for field in schema.features
        }
        width = sum(field.width for field in schema.features)
        rows = pl.DataFrame({name: [str(cell)] for name, cell in cells.items()})
        return cls(schema, rows, np.zeros((1, width), np.float32), np.zeros(1, np.int64))

    def __getitem__(self, name: str) -> Array:
        if name not in self._fields:
            raise PackageError(
                "features() in model/data.py: expected a column of model/schema.json other than "
                f"the label ({', '.join(self._fields)}), found '{name}'"
            )
        column = self._rows[name]
        if self._fields[name].choices:
            return np.asarray(column.cast(pl.String).to_numpy())
        return _numbers(self._fields[name], column)

    def __len__(self) -> int:
        return len(self.labels)


def read_table(schema: Schema, part: Part, path: Path | None = None) -> Table:
    """Read, check and encode a site's table; return the rows of one part.

    Args:
        schema: What the table must look like.
        part: The "train" rows, the held-out "test" rows, or "all".
        path: A .csv or .parquet file, or a folder with a single one; defaults to FEDN_DATA_PATH.

    Raises:
        PackageError: The table breaks a rule; the message names the file, the column, the row and
            the rule.
    """
    file = data_file(path, suffixes=READERS)
    table = read_frame(file, lambda columns: _check_columns(file, columns, schema))
    try:
        columns = [_encode(file, field, table[field.name]) for field in schema.features]
        labels = _encode(file, schema.label, table[schema.label.name]).argmax(axis=1)
    except pl.exceptions.PolarsError as error:
        cause = str(error).splitlines()[0]
        raise PackageError(f"{file}: expected cells that are text or numbers: {cause}") from None
    if len(np.unique(labels)) < 2:
        raise PackageError(
            f"{file}: column '{schema.label.name}': expected at least two classes, "
            f"found only {schema.label.choices[int(labels[0])]}"
        )
    encoded = np.concatenate(columns, axis=1)
    if part == "all":
        return Table(schema, table, encoded, labels)
    chosen = select(part, labels)
    return Table(schema, table[chosen], encoded[chosen], labels[chosen])


def read_frame(file: Path, check: Callable[[Sequence[str]], None]) -> pl.DataFrame:
    """Read a table of any columns; the cells of a CSV are read as text.

    Args:
        file: A .csv or .parquet file.
        check: Called with the column names before any cell is read; raises `PackageError` if they
            are wrong.

    Raises:
        PackageError: The file is not a table, has no rows, or has too many cells.
    """
    try:
        with file.open("rb") as content:
            line = content.readline(MAX_HEADER_BYTES)
            if len(line) == MAX_HEADER_BYTES and file.suffix == ".csv":
                raise PackageError(f"{file}: expected a header of up to {MAX_HEADER_BYTES:,} bytes")
        with stderr_discarded():
            scanned = READERS[file.suffix](file)
            columns = scanned.collect_schema().names()
            check(columns)
            rows = scanned.select(pl.len()).collect().item()
            if rows * len(columns) > MAX_CELLS:
                raise PackageError(
                    f"{file}: expected up to {MAX_CELLS:,} cells, found {rows:,} rows"
                )
            table = scanned.collect()
    # Polars raises PanicException on some malformed files.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        cause = next(iter(str(error).splitlines()), "nothing that can be read")
        raise PackageError(f"{file}: expected a table, found: {cause}") from None
    if table.height == 0:
        raise PackageError(f"{file}: expected rows, found none below the header")
    return table


def _check_columns(file: Path, columns: Sequence[str], schema: Schema) -> None:
    """Raise `PackageError` if the columns differ from the schema's."""
    expected = {field.name for field in (*schema.features, schema.label)}
    missing = sorted(expected - set(columns))
    extra = sorted(set(columns) - expected)
    if missing:
        hint = "; are the columns separated by commas?" if len(columns) == 1 else ""
        raise PackageError(f"{file}: missing column {_quoted(missing)}{hint}")
    if extra:
        raise PackageError(
            f"{file}: unknown column {_quoted(extra)}; remove it, or add it to model/schema.json"
        )


def _encode(file: Path, field: Field, column: pl.Series) -> Array:
    """Check one column against its field and return float32, shape (rows, field.width)."""

    def reject_where(condition: npt.ArrayLike, rule: str) -> None:
        wrong = np.asarray(condition)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            others = f" (and {int(wrong.sum()) - 1} more rows)" if wrong.sum() > 1 else ""
            cell = column[row]
            found = "an empty cell" if cell is None or cell == "" else repr(cell)
            raise PackageError(
                f"{file}: column '{field.name}', row {row + 1}: expected {rule}, "
                f"found {found}{others}"
            )

    if field.choices:
        # Compared as text, so that 1 in a CSV and 1 in a Parquet file are the same choice.
        text = column.cast(pl.String)
        choices = [str(choice) for choice in field.choices]
        one_hot = np.stack([(text == choice).fill_null(False).to_numpy() for choice in choices])
        reject_where(~one_hot.any(axis=0), f"one of {', '.join(choices)}")
        return one_hot.T.astype(np.float32)

    values = _numbers(field, column)
    reject_where(~np.isfinite(values), field.rule)
    if field.type != "number":
        reject_where(values != np.round(values), field.rule)
    reject_where((values < field.minimum) | (values > field.maximum), field.rule)
    with np.errstate(over="ignore"):
        scaled = ((values - field.center) / field.spread).astype(np.float32)
    reject_where(~np.isfinite(scaled), "a number that float32 can hold when scaled")
    return scaled[:, np.newaxis]


def _numbers(field: Field, column: pl.Series) -> Array:
    """Return a column as float64; cells that are not numbers become NaN."""
    text = column.cast(pl.String)
    if field.type == "boolean":
        text = text.str.to_lowercase().replace({"true": "1", "false": "0"})
    return np.asarray(text.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy())


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
