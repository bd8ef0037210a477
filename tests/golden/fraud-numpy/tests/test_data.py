"""Tests of the examples made from a site's table. The library tests the table's rules."""

from pathlib import Path

import numpy as np
import pytest

from fednsite.data.table import Table
from fednsite.errors import PackageError
from model import data


def rows(folder: Path, classes: int = 2) -> Path:
    """Write a small table that satisfies the schema, with this number of classes."""
    fields = [*data.SCHEMA.features, data.SCHEMA.label]
    lines = [",".join(field.name for field in fields)]
    for number in range(10):
        cells = []
        for field in fields:
            of = classes if field is data.SCHEMA.label else len(field.choices)
            low = max(field.minimum, 0)
            cells.append(str(field.choices[number % of] if field.choices else low))
        lines.append(",".join(cells))
    path = folder / "site.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_every_row_becomes_finite_features_of_one_shape(tmp_path: Path) -> None:
    examples = data.load("all", rows(tmp_path))
    assert examples.features.shape == (10, *data.input_shape())
    assert examples.features.dtype == np.float32
    assert np.isfinite(examples.features).all()
    assert sorted(set(examples.labels)) == [0, 1]


def test_held_out_rows_are_not_trained_on(tmp_path: Path) -> None:
    path = rows(tmp_path)
    train, test = data.load("train", path), data.load("test", path)
    assert (len(train), len(test)) == (8, 2)


def test_features_are_made_row_by_row() -> None:
    assert data.features(Table.blank(data.SCHEMA)).shape == (1, *data.input_shape())


def test_a_table_with_a_single_class_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="expected at least two classes"):
        data.load("train", rows(tmp_path, classes=1))
