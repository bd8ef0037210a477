"""Data is found by its content, whatever the file is called."""

import io
import json
import pickle
import sqlite3
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fednkit.package import tables

ROWS = [(number, f"person {number}", 1.5 * number) for number in range(30)]


def with_delimiter(delimiter: str) -> bytes:
    lines = [delimiter.join(map(str, row)) for row in ROWS]
    return "\n".join(["id, name, amount", *lines]).encode()


def as_markdown() -> bytes:
    lines = [f"| {a} | {b} | {c} |" for a, b, c in ROWS]
    return "\n".join(["# Notes", "", "| id | name | amount |", "|---|---|---|", *lines]).encode()


def as_json() -> list[bytes]:
    records = [dict(zip(("id", "name", "amount"), row, strict=True)) for row in ROWS]
    return [
        json.dumps(records).encode(),
        json.dumps({"data": {"rows": [list(row) for row in ROWS]}}).encode(),
        "\n".join(map(json.dumps, records)).encode(),
    ]


@pytest.mark.parametrize(
    "content",
    [
        *(with_delimiter(delimiter) for delimiter in (",", ";", "\t", "|", ", ")),
        with_delimiter(",").decode().encode("utf-16"),
        as_markdown(),
        *as_json(),
        "\n".join(f"{a} {c} {c / 3:e}" for a, _, c in ROWS).encode(),
    ],
)
def test_rows_are_found_in_any_text(content: bytes) -> None:
    found = tables.find(content)
    assert found is not None
    assert found.startswith("a table of 3")


def binary(tmp_path: Path) -> dict[str, bytes]:
    frame, parquet, arrow, array = (
        pl.DataFrame({"a": [1]}),
        io.BytesIO(),
        io.BytesIO(),
        io.BytesIO(),
    )
    frame.write_parquet(parquet)
    frame.write_ipc(arrow)
    np.save(array, np.zeros(3))
    with sqlite3.connect(tmp_path / "notes.txt") as database:
        database.execute("create table people (name)")
    return {
        "a Parquet file": parquet.getvalue(),
        "an Arrow file": arrow.getvalue(),
        "a NumPy array": array.getvalue(),
        "an SQLite database": (tmp_path / "notes.txt").read_bytes(),
        "a pickle": pickle.dumps({"a": 1}),
    }


def test_data_files_are_known_by_how_they_begin(tmp_path: Path) -> None:
    for what, content in binary(tmp_path).items():
        assert tables.find(content) == what


def test_an_example_a_list_and_prose_are_no_tables() -> None:
    for harmless in (
        "\n".join(map(str, ROWS[:10])),
        "\n".join(f"word {number}, another word" for number in "abcdefghijklmnopqrstuvwxyz"),
        "\n".join(["The quick brown fox jumps over the lazy dog."] * 50),
        json.dumps({"fields": [{"name": f"column {n}", "type": "number"} for n in range(99)]}),
        "",
        "[" * 100_000,
    ):
        assert tables.find(harmless.encode()) is None, harmless[:50]


def test_code_may_have_a_table_of_constants() -> None:
    code = "\n".join(["TABLE = [", *(f"    {a}, {c}, {c}," for a, _, c in ROWS), "]"]).encode()
    assert tables.find(code) is not None
    assert tables.find(code, is_code=True) is None
    assert tables.find((with_delimiter(",") + b"\n") * 10, is_code=True) is not None


def test_nothing_that_the_library_ships_looks_like_data() -> None:
    for name in ("fednkit", "fednsite"):
        for file in Path(str(files(name))).rglob("*"):
            if file.suffix in (".py", ".md", ".conf", ".yaml", ".html"):
                found = tables.find(file.read_bytes(), is_code=file.suffix == ".py")
                assert found is None, file
