"""Sample data: real handwritten digits, brought to MNIST's layout.

digits.npz holds the 1,797 digits of Alpaydin and Kaynak, "Optical Recognition of Handwritten
Digits", UCI Machine Learning Repository, 1998 (CC BY 4.0): 8×8 pixels in 17 shades.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .project import ProjectError

FILE_NAME = "mnist.npz"
EXAMPLES = 1_797

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
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = np.concatenate([arrays["x_train"], arrays["x_test"]])
            labels = np.concatenate([arrays["y_train"], arrays["y_test"]])
    except (OSError, ValueError, KeyError) as error:
        raise ProjectError(f"{path}: expected digits in Keras' mnist.npz layout: {error}") from None
    return Digits(images, labels)


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
