"""Tables: the kinds `csv`, `parquet`, and `table to draft from`."""

import contextlib
import csv as reader
import importlib
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl

from fuzz.images import kept_to
from fuzz.kinds import Judged, WrongError
from fuzz.mutation import NUMBERS, TEXTS, broken

FIELDS: list[dict[str, Any]] = [
    {
        "name": "age",
        "type": "integer",
        "constraints": {"minimum": 0, "maximum": 120},
        "scale": {"center": 40, "spread": 20},
    },
    {"name": "dose", "type": "number"},
    {"name": "smoker", "type": "boolean"},
    {"name": "ward", "type": "string", "constraints": {"enum": ["a", "b", "c"]}},
    {"name": "ill", "type": "string", "constraints": {"enum": ["no", "yes"]}},
]
HEADER = ["age", "dose", "smoker", "ward", "ill"]
GOOD: list[list[Any]] = [
    [str(20 + n), f"{n / 4}", "true" if n % 3 else "False", "abc"[n % 3], ("no", "yes")[n % 2]]
    for n in range(12)
]


def text_of(rows: list[list[Any]], separator: str = ",") -> bytes:
    """Return rows as a CSV."""
    out = io.StringIO()
    reader.writer(out, delimiter=separator, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def plain_features(row: dict[str, str]) -> list[float]:
    """Return what a row becomes, without numpy and polars."""
    return [
        (float(row["age"]) - 40) / 20,
        float(row["dose"]),
        float({"true": "1", "false": "0"}.get(row["smoker"].lower(), row["smoker"])),
        *(float(row["ward"] == choice) for choice in "abc"),
    ]


def ready(scratch: Path) -> tuple[Any, tuple[type[BaseException], ...]]:
    """Return the library's reader of tables with the contract of `FIELDS`, and its refusals."""
    data: Any = importlib.import_module("model.data")
    schema: Any = importlib.import_module("model.schema")
    errors: Any = importlib.import_module("model.errors")
    file = scratch / "in.json"
    file.write_text(json.dumps({"fields": FIELDS, "label": "ill"}), encoding="utf-8")
    data.SCHEMA = schema.Schema.read(file)
    file.unlink()
    # So that a table is too large at this already.
    data.MOST_CELLS = 1_000_000
    return data, (errors.PackageError,)


def is_sound(dataset: Any) -> None:
    """Raise `WrongError` unless a dataset is one that a model can learn from."""
    features, labels = dataset.features, dataset.labels
    if features.dtype != np.float32 or features.shape != (len(labels), 6) or not len(labels):
        raise WrongError(f"took {features.dtype}{features.shape}")
    if not np.isfinite(features).all() or not set(labels.tolist()) <= {0, 1}:
        raise WrongError("took what is no number, or no class")


CSVS: dict[str, bytes] = {
    "a good table": text_of([HEADER, *GOOD]),
    "columns in another order": text_of([HEADER[::-1], *(row[::-1] for row in GOOD)]),
    "line ends of Windows": text_of([HEADER, *GOOD]).replace(b"\n", b"\r\n"),
    "line ends of old Macs": text_of([HEADER, *GOOD]).replace(b"\n", b"\r"),
    "a byte order mark": b"\xef\xbb\xbf" + text_of([HEADER, *GOOD]),
    "UTF-16": text_of([HEADER, *GOOD]).decode().encode("utf-16"),
    "Latin-1": text_of([HEADER, *GOOD]).replace(b"no", b"n\xf6"),
    "no bytes": b"",
    "one line end": b"\n",
    "a header alone": text_of([HEADER]),
    "a header twice": text_of([HEADER, HEADER, *GOOD]),
    "semicolons": text_of([HEADER, *GOOD], ";"),
    "a column twice": text_of([[*HEADER, "age"], *([*row, "1"] for row in GOOD)]),
    "a column with a line end": text_of([["a\nerror: b", *HEADER], *(["1", *row] for row in GOOD)]),
    "a column that clears the terminal": text_of(
        [["\x1b[2J", *HEADER], *(["1", *row] for row in GOOD)]
    ),
    "a longer row": text_of([HEADER, *GOOD, [*GOOD[0], "1"]]),
    "a shorter row": text_of([HEADER, *GOOD, GOOD[0][:-1]]),
    "a quote that is not closed": text_of([HEADER, *GOOD]) + b'"20,1,true,a,no\n',
    "a cell of zeros": text_of([HEADER, *GOOD]) + b"20,\0\0,true,a,no\n",
    "nothing but zeros": bytes(1 << 20),
    "a megabyte of commas": b"," * (1 << 20),
    "a megabyte of quotes": b'"' * (1 << 20),
    "a megabyte of line ends": text_of([HEADER]) + b"\n" * (1 << 20),
    "a hundred thousand columns": b",".join(b"c%d" % n for n in range(100_000)) + b"\n1\n",
    "no line end for 2 MB": b"x" * (2 << 20),
    "one class": text_of([HEADER, *([*row[:-1], "no"] for row in GOOD)]),
    "a Parquet file by another name": b"PAR1" + bytes(100) + b"PAR1",
}
for _number, _cell in enumerate([*TEXTS, *map(str, NUMBERS)]):
    for _column in range(5):
        _row = [*GOOD[0][:_column], _cell, *GOOD[0][_column + 1 :]]
        CSVS[f"{HEADER[_column]}: {_number}"] = text_of([HEADER, *GOOD, _row])


def odd_csv(random: Random) -> bytes:
    """Return a CSV: good, odd or broken."""
    rows = [list(row) for row in random.sample(GOOD, random.randint(1, 12))]
    for _ in range(random.choice([0, 0, 1, 2])):
        random.choice(rows)[random.randrange(5)] = random.choice([*TEXTS, *map(str, NUMBERS)])
    header = list(HEADER)
    if random.random() < 0.1:
        header[random.randrange(5)] = random.choice([*TEXTS, *HEADER])
    made = text_of([header, *rows], random.choice([*",,,,,,,", ";", "\t"]))
    return broken(random, made) if random.random() < 0.4 else made


def csv(project: Path, scratch: Path) -> Judged:
    """Read a site's CSV."""
    data, refusals = ready(scratch)
    file = scratch / "in.csv"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = data.load("all", file)
        is_sound(found)
        text = case.decode("utf-8-sig")
        # Where a quote is odd, readers differ, and none is right.
        if '"' not in text and "\r" not in text.replace("\r\n", ""):
            rows = list(reader.DictReader(io.StringIO(text.replace("\r\n", "\n"))))
            expected = np.array([plain_features(row) for row in rows], np.float32)
            labels = [["no", "yes"].index(row["ill"]) for row in rows]
            if not np.array_equal(found.features, expected) or found.labels.tolist() != labels:
                raise WrongError("took other numbers than are in the file")
        return True

    judge(CSVS["a good table"])
    return Judged(CSVS, odd_csv, judge, refusals)


def stored(table: pl.DataFrame, **options: Any) -> bytes:
    """Return a table as Parquet."""
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
    """Return Parquet files of every kind by what they are."""
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


def parquet(project: Path, scratch: Path) -> Judged:
    """Read a site's Parquet file."""
    data, refusals = ready(scratch)
    file = scratch / "in.parquet"
    tables = [
        stored(good_table(rows), compression=how)
        for rows in (2, 12, 500)
        for how in ("uncompressed", "zstd", "snappy", "gzip", "lz4")
    ]
    truths = {content: data_of(content) for content in tables}

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = data.load("all", file)
        is_sound(found)
        if case in truths and not np.array_equal(found.features, truths[case]):
            raise WrongError("took other numbers than are in the file")
        return True

    def generate(random: Random) -> bytes:
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

    judge(tables[0])
    return Judged(parquets(), generate, judge, refusals)


def data_of(content: bytes) -> Any:
    """Return the features of a good table, without the library."""
    rows = pl.read_parquet(io.BytesIO(content)).cast(pl.String).to_dicts()
    return np.array([plain_features(row) for row in rows], np.float32)


def draft(project: Path, scratch: Path) -> Judged:
    """Draft a contract from a table; a site's table that it was drafted from must keep it."""
    contract: Any = importlib.import_module("federation.contract")
    samples: Any = importlib.import_module("federation.samples")
    layout: Callable[[Any], str] = importlib.import_module("federation.schema").layout
    error: Any = importlib.import_module("federation.project").ProjectError
    samples.MOST_CELLS = 1_000_000
    kept_to(project)
    data, _ = ready(scratch)
    schema: Any = importlib.import_module("model.schema")
    one_class: Any = importlib.import_module("model.errors").PackageError

    def judge(case: tuple[str, bytes]) -> bool:
        suffix, content = case
        file = scratch / f"in{suffix}"
        file.write_bytes(content)
        made = contract.draft(file, "ill")
        written = scratch / "in.json"
        written.write_bytes(layout(made).encode())
        try:
            data.SCHEMA = schema.Schema.read(written)
            found = data.load("all", file)
        except one_class as mistake:
            raise WrongError(f"drafted what it does not keep: {mistake}") from None
        if not np.isfinite(found.features).all():
            raise WrongError("drafted a scale that float32 cannot hold")
        return True

    def generate(random: Random) -> tuple[str, bytes]:
        return ".csv", odd_csv(random)

    corpus = {f"CSV, {name}": (".csv", content) for name, content in CSVS.items()}
    corpus |= {f"Parquet, {name}": (".parquet", content) for name, content in parquets().items()}
    for name, labels in {
        "labels that begin with two signs": ["--5", "--6"],
        "labels of 5,000 digits": ["1" * 5000, "2" * 5000],
        "labels in Arabic digits": ["\u0661", "\u0662"],
        "labels with zeros in front": ["01", "1"],
        "labels that are negative": ["-1", "1"],
    }.items():
        rows = [[*row[:-1], labels[n % 2]] for n, row in enumerate(GOOD)]
        corpus[name] = (".csv", text_of([HEADER, *rows]))
    for name, numbers in {
        "numbers that differ by nothing": ["5e-324", "1e-323"],
        "numbers at both ends": ["-1e308", "1e308"],
        "large numbers": ["1e29", "-1e29"],
        "whole numbers without end": ["9223372036854775807", "-9223372036854775808"],
    }.items():
        rows = [[row[0], numbers[n % 2], *row[2:]] for n, row in enumerate(GOOD)]
        corpus[name] = (".csv", text_of([HEADER, *rows]))
    judge((".csv", CSVS["a good table"]))
    return Judged(corpus, generate, judge, (error,))
