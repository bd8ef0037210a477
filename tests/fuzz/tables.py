"""A site's tables as text: the kind `csv`."""

import csv as reader
import io
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fednsite.data import table as library
from fednsite.data.schema import Schema
from fednsite.errors import PackageError
from fuzz.kinds import Target, WrongError
from fuzz.mutation import NUMBERS, TEXTS, broken

FIELDS: list[dict[str, Any]] = [
    {"name": "age", "type": "integer", "constraints": {"minimum": 0, "maximum": 120},
     "scale": {"center": 40, "spread": 20}},
    {"name": "dose", "type": "number"},
    {"name": "smoker", "type": "boolean"},
    {"name": "ward", "type": "string", "constraints": {"enum": ["a", "b", "c"]}},
    {"name": "ill", "type": "string", "constraints": {"enum": ["no", "yes"]}},
]  # fmt: skip
HEADER = ["age", "dose", "smoker", "ward", "ill"]
GOOD: list[list[Any]] = [
    [str(20 + n), f"{n / 4}", "true" if n % 3 else "False", "abc"[n % 3], ("no", "yes")[n % 2]]
    for n in range(12)
]


def text_of(rows: list[list[Any]], separator: str = ",") -> bytes:
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


def schema(scratch: Path) -> Schema:
    """Return the contract of `FIELDS`; from now on, a table is too large at a million cells."""
    library.MAX_CELLS = 1_000_000
    file = scratch / "in.json"
    file.write_text(json.dumps({"fields": FIELDS, "label": "ill"}), encoding="utf-8")
    return Schema.read(file)


def check(table: library.Table) -> None:
    """Raise `WrongError` unless a table is one that a model can learn from."""
    encoded, labels = table.encoded, table.labels
    if encoded.dtype != np.float32 or encoded.shape != (len(labels), 6) or not len(labels):
        raise WrongError(f"took {encoded.dtype}{encoded.shape}")
    numbers = encoded, table["age"], table["dose"], table["smoker"]
    if not all(np.isfinite(array).all() for array in numbers):
        raise WrongError("took what is no number")
    if not set(labels.tolist()) <= {0, 1} or not set(table["ward"].tolist()) <= set("abc"):
        raise WrongError("took what is no class, or no choice")


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
CSVS |= {
    f"{HEADER[column]}: {number}": text_of(
        [HEADER, *GOOD, [*GOOD[0][:column], cell, *GOOD[0][column + 1 :]]]
    )
    for number, cell in enumerate([*TEXTS, *map(str, NUMBERS)])
    for column in range(5)
}


def odd_csv(random: Random) -> bytes:
    rows = [list(row) for row in random.sample(GOOD, random.randint(1, 12))]
    for _ in range(random.choice([0, 0, 1, 2])):
        random.choice(rows)[random.randrange(5)] = random.choice([*TEXTS, *map(str, NUMBERS)])
    header = list(HEADER)
    if random.random() < 0.1:
        header[random.randrange(5)] = random.choice([*TEXTS, *HEADER])
    made = text_of([header, *rows], random.choice([*",,,,,,,", ";", "\t"]))
    return broken(random, made) if random.random() < 0.4 else made


def csv(scratch: Path) -> Target:
    """Read a site's CSV."""
    contract = schema(scratch)
    file = scratch / "in.csv"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = library.read_table(contract, "all", file)
        check(found)
        text = case.decode("utf-8-sig")
        # Where a quote is odd, readers differ, and none is right.
        if '"' not in text and "\r" not in text.replace("\r\n", ""):
            rows = list(reader.DictReader(io.StringIO(text.replace("\r\n", "\n"))))
            expected = np.array([plain_features(row) for row in rows], np.float32)
            labels = [["no", "yes"].index(row["ill"]) for row in rows]
            doses = [float(row["dose"]) for row in rows]
            if not np.array_equal(found.encoded, expected) or found.labels.tolist() != labels:
                raise WrongError("took other numbers than are in the file")
            if found["dose"].tolist() != doses:
                raise WrongError("has another column than the file")
        return True

    return Target(CSVS, ["a good table"], odd_csv, judge, (PackageError,))
