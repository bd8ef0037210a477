"""Find tables and other data by their content, in files before they are shipped.

Suffixes are not enough, because .txt, .md and .json files may contain rows. Like leaks.py, this
catches accidents only.
"""

import json
import re
from collections.abc import Iterator
from itertools import groupby

__all__ = ["find"]

# Fewer rows are an example, as in a docstring or a README.
MIN_ROWS = 20
# Code may contain tables of constants.
MIN_ROWS_IN_CODE = 200
# Minimum share of cells that are numbers; columns of words are a list and not a site's data.
MIN_NUMBERS_SHARE = 0.3
# Columns separated by spaces are common in text, so nearly all of their cells must be numbers.
MIN_NUMBERS_SHARE_BETWEEN_SPACES = 0.8
MAGIC_NUMBERS = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"FEA1": "a Feather file",
    b"ORC": "an ORC file",
    b"SQLite format 3\0": "an SQLite database",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
}
DELIMITERS = (",", ";", "\t", "|")
NUMBER = re.compile(r"[\"']?[-+]?(?:\d+[.,]?\d*|\.\d+)(?:[eE][-+]?\d+)?%?[\"']?")


def find(content: bytes, is_code: bool = False) -> str | None:
    """Return a description of the data in a file; None if there seems to be none."""
    for magic, what in MAGIC_NUMBERS.items():
        if content.startswith(magic):
            return what
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    lines = [line.strip() for line in text.splitlines()]
    rows = max(_longest_table(lines, delimiter) for delimiter in (*DELIMITERS, None))
    rows = max(rows, _json_records(text, lines))
    least = MIN_ROWS_IN_CODE if is_code else MIN_ROWS
    return f"a table of {rows} rows" if rows >= least else None


def _longest_table(lines: list[str], delimiter: str | None) -> int:
    """Return the length of the longest run of lines with the same number of columns.

    Enough of the cells must be numbers. The delimiter None means spaces.
    """
    least = MIN_NUMBERS_SHARE if delimiter else MIN_NUMBERS_SHARE_BETWEEN_SPACES
    longest = 0
    for columns, run in groupby(lines, lambda line: len(line.split(delimiter))):
        rows = list(run)
        if columns < 2 or len(rows) <= max(longest, MIN_ROWS - 1):
            continue
        cells = [cell.strip() for row in rows for cell in row.split(delimiter)]
        if sum(map(_is_number, cells)) >= least * len(cells):
            longest = len(rows)
    return longest


def _json_records(text: str, lines: list[str]) -> int:
    """Return the number of records in JSON or JSON Lines; 0 for other text."""
    if not text.lstrip().startswith(("{", "[")):
        return 0
    try:
        return max(_list_lengths(json.loads(text)), default=0)
    except (ValueError, RecursionError):
        pass
    records = [line for line in lines if line.startswith(("{", "[")) and line.endswith(("}", "]"))]
    return len(records) if len(records) == len([line for line in lines if line]) else 0


def _list_lengths(value: object) -> Iterator[int]:
    """Yield the length of each list of records, at any depth."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, list) and all(isinstance(entry, dict | list) for entry in value):
        yield sum(_has_number(entry) for entry in value)
    for entry in inner:
        yield from _list_lengths(entry)


def _has_number(record: object) -> bool:
    cells = [*record.values()] if isinstance(record, dict) else record
    return isinstance(cells, list) and any(type(cell) in (int, float) for cell in cells)


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None
