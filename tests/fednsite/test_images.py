"""The site's images: what is read, what is refused, and in which words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fednsite.data.images import Images, read_images
from fednsite.data.schema import Field, Schema
from fednsite.errors import PackageError

SHAPE = 28, 28
SCHEMA = Schema(
    (Field("x", "array", (), 0, 255, 0, 255, SHAPE, "uint8"),),
    Field("y", "integer", tuple(range(10))),
)


def arrays(**changed: Any) -> dict[str, Any]:
    """Three training and two test images; an array given as None is left out."""
    content = {
        "x_train": np.full((3, *SHAPE), 255, dtype=np.uint8),
        "y_train": np.array([0, 1, 1], dtype=np.uint8),
        "x_test": np.zeros((2, *SHAPE), dtype=np.uint8),
        "y_test": np.array([1, 0], dtype=np.uint8),
    } | changed
    return {name: array for name, array in content.items() if array is not None}


def npz(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "site.npz"
    np.savez(path, **content)
    return path


def test_a_schema_of_a_table_is_refused_before_there_is_data() -> None:
    table = Schema((Field("x", "number"),), Field("y", "integer", (0, 1)))
    with pytest.raises(PackageError, match="field 'x': expected an array, found number"):
        Images.blank(table)


def test_images_are_scaled_and_the_parts_kept_apart(tmp_path: Path) -> None:
    path = npz(tmp_path, arrays())
    train, test, everything = (read_images(SCHEMA, part, path) for part in ("train", "test", "all"))
    assert train.scaled.dtype == np.float32
    assert train.scaled.shape == (3, *SHAPE)
    assert (train.scaled == 1).all()
    assert (test.scaled == 0).all()
    assert train.labels.tolist() == [0, 1, 1]
    assert everything.labels.tolist() == [0, 1, 1, 1, 0]
    assert len(everything) == 5


def test_the_shape_of_the_features_is_known_without_data() -> None:
    blank = Images.blank(SCHEMA)
    assert blank.scaled.shape == (1, *SHAPE)
    assert blank.scaled.dtype == np.float32


def test_a_schema_of_a_table_is_refused_for_images(tmp_path: Path) -> None:
    schema = Schema((Field("age", "integer"),), SCHEMA.label)
    with pytest.raises(PackageError, match="field 'age': expected an array, found integer"):
        read_images(schema, "all", npz(tmp_path, arrays()))


def test_a_folder_with_one_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npz(tmp_path, arrays())
    monkeypatch.setenv("FEDN_DATA_PATH", str(tmp_path))
    assert len(read_images(SCHEMA, "all")) == 5


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (arrays(y_train=None), "expected an array 'y_train', found x_test, x_train, y_test"),
        (arrays(x_train=np.zeros((3, 8, 8), np.uint8)), "'x_train': expected uint8 of shape"),
        (arrays(x_train=np.zeros((3, *SHAPE))), "found float64 of shape"),
        (arrays(x_train=np.zeros((0, *SHAPE), np.uint8)), "expected images, found none"),
        (arrays(y_train=np.array([0, 1])), "'y_train': expected one label for each of 3 images"),
        (arrays(y_train=np.array([0, 1, 10])), "'y_train', image 2: expected one of 0, 1"),
        (arrays(y_train=np.array([0, 1, np.nan])), "image 2: expected one of .* found nan"),
        (arrays(y_train=np.array([4, 4, 4])), "at least two classes, found only 4"),
        (arrays(y_train=np.array([0, 1, None])), "'y_train.npy' is not a plain array"),
    ],
)
def test_images_that_break_the_contract_are_refused(
    tmp_path: Path, content: dict[str, Any], expected: str
) -> None:
    path = npz(tmp_path, content)
    with pytest.raises(PackageError, match=expected) as error:
        read_images(SCHEMA, "train", path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "site.npz"
    path.write_bytes(content)
    with pytest.raises(PackageError, match="expected images in an npz archive"):
        read_images(SCHEMA, "train", path)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="expected a data file"):
        read_images(SCHEMA, "train", tmp_path / "nowhere.npz")
    with pytest.raises(PackageError, match=r"expected one \.npz file in it, found 0"):
        read_images(SCHEMA, "train", tmp_path)
