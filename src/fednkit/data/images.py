"""Read your own images, write them for the sites, and draft their schema."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fednsite.data.npz import MAX_DATA_BYTES, Npz, NpzError

from ..project.errors import ProjectError
from ..samples.digits import EXAMPLES, FILE_NAME, Digits, make

__all__ = ["EXAMPLES", "FILE_NAME", "column", "draft", "labels", "make", "read", "write"]

MAX_CLASSES = 10_000


def read(path: Path) -> Digits:
    """Read the training and test images of a file in Keras' mnist.npz layout.

    Raises:
        ProjectError: The file is not in this layout.
    """

    def fit(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if not shape or dtype.kind not in "uif":
            raise NpzError(f"expected numbers, found {dtype} of shape {shape}")

    try:
        with path.open("rb") as file:
            arrays = Npz(file, members=64, most=MAX_DATA_BYTES)
            x_train, x_test, y_train, y_test = (
                arrays.read(f"{name}.npy", fit)
                for name in ("x_train", "x_test", "y_train", "y_test")
            )
        if (x_train.dtype, y_train.dtype) != (x_test.dtype, y_test.dtype):
            raise NpzError("its training and test arrays have different dtypes")
        digits = Digits(np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test]))
    except (OSError, ValueError, NpzError) as error:
        raise ProjectError(f"{path}: expected digits in Keras' mnist.npz layout: {error}") from None
    if digits.labels.shape != (len(digits.images),) or len(digits.labels) == 0:
        raise ProjectError(
            f"{path}: expected one label for each image, found {digits.labels.shape} for "
            f"{len(digits.images)} images"
        )
    if digits.labels.dtype.kind != "f" and not (
        digits.labels.min() >= 0 and digits.labels.max() < MAX_CLASSES
    ):
        raise ProjectError(f"{path}: expected labels from 0 to {MAX_CLASSES - 1:,}")
    return digits


def labels(digits: Digits) -> npt.NDArray[np.int64]:
    """Return the class of each image, int64, shape (digits,)."""
    return digits.labels.astype(np.int64)


def column(digits: Digits, name: str) -> npt.NDArray[Any]:
    """Raise `ProjectError`: images have no columns."""
    raise ProjectError(f"--column: images have no column '{name}'; choose another --partition")


def write(digits: Digits, rows: npt.NDArray[np.int64], path: Path) -> None:
    """Write rows of the images as one site's file, with the last fifth as the test set."""
    images, labels = digits.images[rows], digits.labels[rows]
    training = len(rows) - max(1, len(rows) // 5)
    np.savez_compressed(
        path,
        x_train=images[:training],
        y_train=labels[:training],
        x_test=images[training:],
        y_test=labels[training:],
    )


def draft(path: Path, label: str | None) -> dict[str, Any]:
    """Return a schema for client/model/schema.json that the images satisfy.

    Args:
        path: An npz in Keras' mnist.npz layout.
        label: Must be None: the labels are y_train and y_test.

    Raises:
        ProjectError: There is a label, or no model can use the images.
    """
    if label is not None:
        raise ProjectError(f"--label: images have theirs in y_train and y_test, found '{label}'")
    images, labels = read(path)
    if images.ndim < 2 or images.dtype.kind not in "uif" or not np.isfinite(images).all():
        raise ProjectError(
            f"{path}: array 'x_train': expected numbers of shape (images, rows, columns), found "
            f"{images.dtype} of shape {images.shape}"
        )
    if labels.dtype.kind not in "ui" or len(np.unique(labels)) < 2:
        raise ProjectError(
            f"{path}: array 'y_train': expected whole numbers of two classes or more, found "
            f"{labels.dtype}"
        )
    # Bytes range from black to white, even if these images use fewer shades.
    byte = images.dtype == np.uint8
    low, high = (0, 255) if byte else (images.min().item(), images.max().item())
    image = {
        "name": "x",
        "type": "array",
        "dtype": images.dtype.name,
        "shape": list(images.shape[1:]),
        "constraints": {"minimum": low, "maximum": high},
        "scale": {"center": low, "spread": (high - low) or 1},
    }
    classes = {"name": "y", "type": "integer", "constraints": {"enum": np.unique(labels).tolist()}}
    return {"fields": [image, classes], "label": "y"}
