"""Sample data: real handwritten digits, brought to MNIST's layout.

digits.npz holds the 1,797 digits of Alpaydin and Kaynak, "Optical Recognition of Handwritten
Digits", UCI Machine Learning Repository, 1998 (CC BY 4.0): 8×8 pixels in 17 shades.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .package import imported_package
from .project import ProjectError

FILE_NAME = "mnist.npz"
EXAMPLES = 1_797
MOST_CLASSES = 10_000

Array = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


class Digits(NamedTuple):
    """images: uint8, shape (digits, 28, 28). labels: uint8, shape (digits,), 0 to 9."""

    images: Array
    labels: Array


Sample = Digits


def make(examples: int | None, seed: int) -> Digits:
    """Return sample digits in random order.

    examples: how many, up to 1,797. seed: equal seeds give equal digits.
    """
    examples = examples or EXAMPLES
    if examples > EXAMPLES:
        raise ProjectError(f"--examples: the sample has {EXAMPLES} digits, found {examples}")
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    chosen = np.random.default_rng(seed).permutation(len(images))[:examples]
    return Digits(_enlarge(images[chosen]), labels[chosen])


def read(path: Path) -> Digits:
    """Read digits in Keras' mnist.npz layout, both parts together. Raises `ProjectError`."""
    # The package's own reader, which takes a stranger's file for what it is.
    with imported_package():
        from model.npz import LARGEST, Npz, NpzError

        def fit(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
            if not shape or dtype.kind not in "uif":
                raise NpzError(f"expected numbers, found {dtype} of shape {shape}")

        try:
            with path.open("rb") as file:
                arrays = Npz(file, members=64, most=LARGEST)
                x_train, x_test, y_train, y_test = (
                    arrays.read(f"{name}.npy", fit)
                    for name in ("x_train", "x_test", "y_train", "y_test")
                )
            if (x_train.dtype, y_train.dtype) != (x_test.dtype, y_test.dtype):
                raise NpzError("its two parts have other kinds of numbers")
            digits = Digits(np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test]))
        except (OSError, ValueError, NpzError) as error:
            raise ProjectError(
                f"{path}: expected digits in Keras' mnist.npz layout: {error}"
            ) from None
    if digits.labels.shape != (len(digits.images),) or len(digits.labels) == 0:
        raise ProjectError(
            f"{path}: expected one label for each image, found {digits.labels.shape} for "
            f"{len(digits.images)} images"
        )
    if digits.labels.dtype.kind != "f" and not (
        digits.labels.min() >= 0 and digits.labels.max() < MOST_CLASSES
    ):
        raise ProjectError(f"{path}: expected labels from 0 to {MOST_CLASSES - 1:,}")
    return digits


def labels(digits: Digits) -> Rows:
    """Return the class of each image, int64, shape (digits,)."""
    return digits.labels.astype(np.int64)


def column(digits: Digits, name: str) -> npt.NDArray[Any]:
    """Raise `ProjectError`: images have no columns."""
    raise ProjectError(f"--column: images have no column '{name}'; choose another --partition")


def write(digits: Digits, rows: Rows, path: Path) -> None:
    """Write some digits as one site's file, the last fifth of them as its test set."""
    images, labels = digits.images[rows], digits.labels[rows]
    training = len(rows) - max(1, len(rows) // 5)
    np.savez_compressed(
        path,
        x_train=images[:training],
        y_train=labels[:training],
        x_test=images[training:],
        y_test=labels[training:],
    )


def _enlarge(images: npt.NDArray[np.uint8]) -> Array:
    """Bring 8×8 pixels of 0 … 16 to a 20×20 digit of 0 … 255 in the middle of 28×28, as MNIST's.

    Linear interpolation along each axis: a 20×8 matrix of weights from both sides.
    """
    places = (np.arange(20) + 0.5) * 8 / 20 - 0.5
    distance = np.abs(places[:, np.newaxis] - np.arange(8))
    weights = np.maximum(1 - distance, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    digits = weights @ images.astype(np.float64) @ weights.T
    canvas = np.zeros((len(images), 28, 28), dtype=np.uint8)
    canvas[:, 4:24, 4:24] = np.round(digits * 255 / 16)
    return canvas
