"""The site's local table, read from CSV or Parquet and checked against schema.json.

To train on another table, change the schema: the shape of the model's input follows.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from .dataset import Array, Dataset, Part, held_out
from .errors import PackageError
from .files import quietly
from .schema import Field, Schema
from .site import data_file

SCHEMA = Schema.read(Path(__file__).with_name("schema.json"))
READERS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    # As text, so that a cell that is no number can be shown as it stands in the file.
    ".csv": lambda path: pl.scan_csv(path, infer_schema=False, glob=False),
    ".parquet": lambda path: pl.scan_parquet(path, glob=False),
}
# Cells of a table, of 16 bytes each: a few kilobytes of Parquet can claim, and even hold, what
# fills any memory. Raise it where a site does have more.
MOST_CELLS = 1_000_000_000
# Bytes of the first line, which holds the columns' names.
LONGEST_HEADER = 1 << 20


def input_shape() -> tuple[int, ...]:
    """Return the shape of one example's features."""
    return (sum(field.width for field in SCHEMA.features),)


def num_classes() -> int:
    """Return how many classes there are."""
    return len(SCHEMA.label.choices)


def load(part: Part, path: Path | None = None) -> Dataset:
    """Read, check, scale and split the site's table.

    path: a .csv or .parquet file, or a folder that holds just one; FEDN_DATA_PATH when not
    given. Returns features as float32, shape (rows, columns after encoding): numbers scaled,
    booleans as 0 and 1, a choice as one column per value. Raises `PackageError`.
    """
    file = data_file(path, suffixes=READERS)
    table = read_table(file)
    try:
        columns = [encode(file, field, table[field.name]) for field in SCHEMA.features]
        labels = encode(file, SCHEMA.label, table[SCHEMA.label.name]).argmax(axis=1)
    except pl.exceptions.PolarsError as error:
        cause = str(error).splitlines()[0]
        raise PackageError(f"{file}: expected cells that are text or numbers: {cause}") from None
    features = np.concatenate(columns, axis=1)
    if len(np.unique(labels)) < 2:
        raise PackageError(
            f"{file}: column '{SCHEMA.label.name}': expected at least two classes, "
            f"found only {SCHEMA.label.choices[int(labels[0])]}"
        )
    if part == "all":
        return Dataset(features, labels)
    rows = np.flatnonzero(held_out(labels) == (part == "test"))
    return Dataset(features[rows], labels[rows])


def read_table(file: Path) -> pl.DataFrame:
    """Read a table that has rows and just the columns of the schema, in any order.

    Its columns, and how many cells it has, are looked at before any cell is read.
    """
    try:
        with file.open("rb") as content:
            if len(content.readline(LONGEST_HEADER)) == LONGEST_HEADER and file.suffix == ".csv":
                raise PackageError(f"{file}: expected a header of up to {LONGEST_HEADER:,} bytes")
        with quietly():
            scanned = READERS[file.suffix](file)
            columns = scanned.collect_schema().names()
            check_columns(file, columns)
            rows = scanned.select(pl.len()).collect().item()
            if rows * len(columns) > MOST_CELLS:
                raise PackageError(
                    f"{file}: expected up to {MOST_CELLS:,} cells, found {rows:,} rows"
                )
            table = scanned.collect()
    # Polars panics, in its words, at bytes that it had not thought of.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        cause = next(iter(str(error).splitlines()), "nothing that can be read")
        raise PackageError(f"{file}: expected a table, found: {cause}") from None
    if table.height == 0:
        raise PackageError(f"{file}: expected rows, found none below the header")
    return table


def check_columns(file: Path, columns: Sequence[str]) -> None:
    """Raise `PackageError` unless these are the columns of the schema."""
    expected = {field.name for field in (*SCHEMA.features, SCHEMA.label)}
    missing = sorted(expected - set(columns))
    extra = sorted(set(columns) - expected)
    if missing:
        hint = "; are the columns separated by commas?" if len(columns) == 1 else ""
        raise PackageError(f"{file}: missing column {_quoted(missing)}{hint}")
    if extra:
        raise PackageError(
            f"{file}: unknown column {_quoted(extra)}; remove it, or add it to model/schema.json"
        )


def encode(file: Path, field: Field, column: pl.Series) -> Array:
    """Check one column by its field and return float32, shape (rows, field.width)."""
    text = column.cast(pl.String)
    if field.type == "boolean":
        text = text.str.to_lowercase().replace({"true": "1", "false": "0"})

    def refuse_where(condition: npt.ArrayLike, rule: str) -> None:
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
        # Compared as text: 1 in a CSV and 1 in a Parquet file are the same choice.
        choices = [str(choice) for choice in field.choices]
        one_hot = np.stack([(text == choice).fill_null(False).to_numpy() for choice in choices])
        refuse_where(~one_hot.any(axis=0), f"one of {', '.join(choices)}")
        return one_hot.T.astype(np.float32)

    # What is no number becomes null, and null becomes NaN.
    values = text.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    refuse_where(~np.isfinite(values), field.rule)
    if field.type != "number":
        refuse_where(values != np.round(values), field.rule)
    refuse_where((values < field.minimum) | (values > field.maximum), field.rule)
    with np.errstate(over="ignore"):
        scaled = ((values - field.center) / field.spread).astype(np.float32)
    refuse_where(~np.isfinite(scaled), "a number that float32 can hold when scaled")
    return scaled[:, np.newaxis]


def _quoted(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
