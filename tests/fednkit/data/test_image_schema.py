"""The schema that is drafted from images: its words, and what is no image."""

import json
from pathlib import Path

import numpy as np
import pytest

from fednkit.data import images as image_data
from fednkit.data import schema
from fednkit.project.errors import ProjectError
from fednsite.data.examples import Array
from fednsite.data.schema import Schema


def images(folder: Path, x: Array, y: Array) -> Path:
    path = folder / "images.npz"
    np.savez(path, x_train=x[:-1], y_train=y[:-1], x_test=x[-1:], y_test=y[-1:])
    return path


def test_bytes_are_shades_and_classes_are_what_the_labels_hold(tmp_path: Path) -> None:
    path = images(tmp_path, np.full((3, 8, 8, 3), 7, np.uint8), np.array([5, 2, 5]))
    draft = image_data.draft(path, None)
    assert draft["fields"][0]["shape"] == [8, 8, 3]
    assert draft["fields"][0]["dtype"] == "uint8"
    assert draft["fields"][0]["constraints"] == {"minimum": 0, "maximum": 255}
    assert draft["fields"][1]["constraints"] == {"enum": [2, 5]}
    text = schema.layout(draft)
    assert json.loads(text) == draft
    (tmp_path / "schema.json").write_text(text, encoding="utf-8")
    read = Schema.read(tmp_path / "schema.json")
    assert (read.features[0].spread, read.label.choices) == (255, (2, 5))


def test_other_numbers_have_the_limits_of_the_file(tmp_path: Path) -> None:
    values = np.linspace(-1, 3, 12, dtype=np.float32).reshape(3, 2, 2)
    draft = image_data.draft(images(tmp_path, values, np.array([0, 1, 1])), None)
    assert draft["fields"][0]["constraints"] == {"minimum": -1, "maximum": 3}
    assert draft["fields"][0]["scale"] == {"center": -1, "spread": 4}


@pytest.mark.parametrize(
    ("x", "y", "label", "cause"),
    [
        (np.zeros((3, 2, 2)), np.array([0, 1, 1]), "y", "--label: images have theirs in y_train"),
        (np.zeros(3), np.array([0, 1, 1]), None, "found float64 of shape (3,)"),
        (np.full((3, 2, 2), np.nan), np.array([0, 1, 1]), None, "expected numbers of shape"),
        (np.zeros((3, 2, 2)), np.zeros(3, int), None, "whole numbers of two classes or more"),
        (np.zeros((3, 2, 2)), np.array([0.5, 1, 1]), None, "found float64"),
    ],
)
def test_what_no_model_can_use_is_named(
    tmp_path: Path, x: Array, y: Array, label: str | None, cause: str
) -> None:
    with pytest.raises(ProjectError) as mistake:
        image_data.draft(images(tmp_path, x, y), label)
    assert cause in str(mistake.value)
