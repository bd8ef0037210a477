"""Files that a contract is drafted from: the kinds `table` and `images to draft from`."""

from pathlib import Path
from random import Random

import numpy as np

from fednkit.data import images as image_files
from fednkit.data import tables as table_files
from fednkit.data.schema import layout
from fednkit.project.errors import ProjectError
from fednsite.data import images as image_reader
from fednsite.data import table as table_reader
from fednsite.data.schema import Schema
from fednsite.errors import PackageError
from fuzz.images import corpus as image_corpus
from fuzz.images import generate
from fuzz.kinds import Target, WrongError
from fuzz.parquets import parquets
from fuzz.tables import CSVS, GOOD, HEADER, odd_csv, text_of

# A table's file: its ending and its content.
File = tuple[str, bytes]
LABELS = {
    "labels that begin with two signs": ["--5", "--6"],
    "labels of 5,000 digits": ["1" * 5000, "2" * 5000],
    "labels in Arabic digits": ["\u0661", "\u0662"],
    "labels with zeros in front": ["01", "1"],
    "labels that are negative": ["-1", "1"],
}
DOSES = {
    "numbers that differ by nothing": ["5e-324", "1e-323"],
    "numbers at both ends": ["-1e308", "1e308"],
    "large numbers": ["1e29", "-1e29"],
    "whole numbers without end": ["9223372036854775807", "-9223372036854775808"],
}


def table_corpus() -> dict[str, File]:
    found = {f"CSV, {name}": (".csv", content) for name, content in CSVS.items()}
    found |= {f"Parquet, {name}": (".parquet", content) for name, content in parquets().items()}
    for column, odd in (("ill", LABELS), ("dose", DOSES)):
        place = HEADER.index(column)
        for name, cells in odd.items():
            rows = [[*row[:place], cells[n % 2], *row[place + 1 :]] for n, row in enumerate(GOOD)]
            found[name] = (".csv", text_of([HEADER, *rows]))
    return found


def table(scratch: Path) -> Target:
    """Draft a contract from a table; a site's table that it was drafted from must keep it."""
    table_reader.MAX_CELLS = 1_000_000
    written = scratch / "in.json"

    def judge(case: File) -> bool:
        suffix, content = case
        file = scratch / f"in{suffix}"
        file.write_bytes(content)
        written.write_bytes(layout(table_files.draft(file, "ill")).encode())
        try:
            found = table_reader.read_table(Schema.read(written), "all", file)
        except PackageError as mistake:
            raise WrongError(f"drafted what it does not keep: {mistake}") from None
        if not np.isfinite(found.encoded).all():
            raise WrongError("drafted a scale that float32 cannot hold")
        return True

    def generate_csv(random: Random) -> File:
        return ".csv", odd_csv(random)

    good = ["CSV, a good table", "Parquet, a good table"]
    return Target(table_corpus(), good, generate_csv, judge, (PackageError,))


def images(scratch: Path) -> Target:
    """Draft a contract from images; the images must keep it."""
    for module in (image_reader, image_files):
        vars(module)["MAX_DATA_BYTES"] = 1 << 20
    file, written = scratch / "in.npz", scratch / "in.json"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        written.write_text(layout(image_files.draft(file, None)), encoding="utf-8")
        try:
            found = image_reader.read_images(Schema.read(written), "all", file)
        except PackageError as mistake:
            # A part to train on may lack what the other has, which a draft does not look at.
            if "two classes" in str(mistake):
                return False
            raise WrongError(f"drafted what it does not keep: {mistake}") from None
        if not np.isfinite(found.scaled).all():
            raise WrongError("drafted a scale that float32 cannot hold")
        return True

    return Target(image_corpus(), ["good images"], generate, judge, (ProjectError,))
