"""Tests of the examples made from a site's images. The library tests the images' rules."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fednsite.data.images import Images
from fednsite.errors import PackageError
from model import data


def images(folder: Path, labels: list[int]) -> Path:
    """Write images that satisfy the schema; the first two are also the held-out ones."""
    field = data.SCHEMA.features[0]
    shape = (len(labels), *field.shape)
    x = np.full(shape, field.maximum, field.dtype)
    y = np.array([data.SCHEMA.label.choices[label] for label in labels])
    path = folder / "site.npz"
    arrays: dict[str, Any] = {"x_train": x, "y_train": y, "x_test": x[:2], "y_test": y[:2]}
    np.savez(path, **arrays)
    return path


def test_every_image_becomes_finite_features_of_one_shape(tmp_path: Path) -> None:
    examples = data.load("all", images(tmp_path, [0, 1, 1]))
    assert examples.features.shape == (5, *data.input_shape())
    assert examples.features.dtype == np.float32
    assert np.isfinite(examples.features).all()
    assert examples.labels.tolist() == [0, 1, 1, 0, 1]


def test_held_out_images_are_not_trained_on(tmp_path: Path) -> None:
    path = images(tmp_path, [0, 1, 1])
    assert (len(data.load("train", path)), len(data.load("test", path))) == (3, 2)


def test_features_are_made_image_by_image() -> None:
    assert data.features(Images.blank(data.SCHEMA)).shape == (1, *data.input_shape())


def test_images_of_a_single_class_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="expected at least two classes"):
        data.load("train", images(tmp_path, [1, 1, 1]))
