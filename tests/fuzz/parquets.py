"""A site's tables in Parquet: the kind `parquet`."""

import contextlib
import io
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl

from fednsite.data.table import read_table
from fednsite.errors import PackageError
from fuzz.kinds import Target, WrongError
from fuzz.mutation import broken
from fuzz.tables import CSVS, GOOD, check, plain_features, schema


def stored(table: pl.DataFrame, **options: Any) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer, **options)
    return buffer.getvalue()


def good_table(rows: int = 12) -> pl.DataFrame:
    """Return the rows of `GOOD`, over and over, with the types of their columns."""
    some = [GOOD[n % len(GOOD)] for n in range(rows)]
    return pl.DataFrame(
        {
            "age": [int(row[0]) for row in some],
            "dose": [float(row[1]) for row in some],
            "smoker": [row[2] == "true" for row in some],
            "ward": [row[3] for row in some],
            "ill": [row[4] for row in some],
        }
    )


def odd_columns() -> dict[str, pl.Series]:
    """Return columns of twelve cells that stand in a number's place, by what they are."""
    return {
        "lists": pl.Series("dose", [[1.0]] * 12),
        "arrays": pl.Series("dose", [[1.0, 2.0]] * 12, dtype=pl.Array(pl.Float64, 2)),
        "structures": pl.Series("dose", [{"a": 1}] * 12),
        "bytes": pl.Series("dose", [b"\xff\xfe"] * 12),
        "dates": pl.Series("dose", ["2020-01-01"] * 12).str.to_date(),
        "durations": pl.Series("dose", [1] * 12).cast(pl.Duration),
        "categories": pl.Series("dose", ["1"] * 12).cast(pl.Categorical),
        "decimals": pl.Series("dose", ["1.5"] * 12).cast(pl.Decimal(10, 2)),
        "nothing": pl.Series("dose", [None] * 12),
        "not numbers": pl.Series("dose", [float("nan")] * 12),
        "infinite": pl.Series("dose", [float("-inf")] * 12),
        "too large for float32": pl.Series("dose", [1e300] * 12),
        "empty lists": pl.Series("dose", [[]] * 12, dtype=pl.List(pl.Int64)),
        "empty structures": pl.Series("dose", [{}] * 12),
    }


@cache
def parquets() -> dict[str, bytes]:
    good = good_table()
    found = {
        "a good table": stored(good),
        "not compressed": stored(good, compression="uncompressed"),
        "gzip": stored(good, compression="gzip"),
        "snappy": stored(good, compression="snappy"),
        "no rows": stored(good.head(0)),
        "no columns": stored(pl.DataFrame()),
        "a column too many": stored(good.with_columns(more=1)),
        "a column too few": stored(good.drop("age")),
        "a name with a line end": stored(good.with_columns(pl.lit(1).alias("a\nerror: b"))),
        "a name without an end": stored(good.with_columns(pl.lit(1).alias("x" * 100_000))),
        "two thousand columns": stored(
            good.with_columns(pl.lit(1).alias(f"c{n}") for n in range(2000))
        ),
        # 10 million equal cells take a few kilobytes.
        "too many rows": stored(pl.select(pl.repeat(1, 10_000_000, dtype=pl.Int64).alias("age"))),
        "no bytes": b"",
        "its ends alone": b"PAR1PAR1",
        "a footer of 4 GB": b"PAR1" + b"\xff\xff\xff\xff" + b"PAR1",
        "a footer of nothing": b"PAR1" + bytes(4) + b"PAR1",
        "a footer of zeros": b"PAR1" + bytes(100) + (100).to_bytes(4, "little") + b"PAR1",
        "cut short": stored(good)[:-40],
        "a CSV by another name": CSVS["a good table"],
    }
    for name, column in odd_columns().items():
        # Of some kinds, polars writes none.
        with contextlib.suppress(pl.exceptions.PolarsError):
            found[f"a column of {name}"] = stored(good.with_columns(column))
    return found


def data_of(content: bytes) -> Any:
    """Return the features of a good table, without the library."""
    rows = pl.read_parquet(io.BytesIO(content)).cast(pl.String).to_dicts()
    return np.array([plain_features(row) for row in rows], np.float32)


def odd_parquet(random: Random, tables: list[bytes]) -> bytes:
    made = random.choice(tables)
    if random.random() < 0.05:
        return made
    if random.random() < 0.5:
        # In its footer, which tells where everything is.
        length = int.from_bytes(made[-8:-4], "little")
        head, footer, tail = made[: -8 - length], made[-8 - length : -8], made[-8:]
        footer = broken(random, footer)
        if random.random() < 0.8:
            tail = len(footer).to_bytes(4, "little") + b"PAR1"
        return head + footer + tail
    return broken(random, made)


def parquet(scratch: Path) -> Target:
    """Read a site's Parquet file."""
    contract = schema(scratch)
    file = scratch / "in.parquet"
    tables = [
        stored(good_table(rows), compression=how)
        for rows in (2, 12, 500)
        for how in ("uncompressed", "zstd", "snappy", "gzip", "lz4")
    ]
    truths = {content: data_of(content) for content in tables}

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = read_table(contract, "all", file)
        check(found)
        if case in truths and not np.array_equal(found.encoded, truths[case]):
            raise WrongError("took other numbers than are in the file")
        return True

    def generate(random: Random) -> bytes:
        return odd_parquet(random, tables)

    return Target(parquets(), ["a good table"], generate, judge, (PackageError,))
