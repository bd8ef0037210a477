"""Sample data: real handwritten digits, converted to MNIST's layout.

digits.npz holds the 1,797 digits of Alpaydin and Kaynak, "Optical Recognition of Handwritten
Digits", UCI Machine Learning Repository, 1998 (CC BY 4.0): 8×8 pixels in 17 shades.
"""

from importlib.resources import as_file, files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..project.errors import ProjectError

__all__ = ["EXAMPLES", "FILE_NAME", "Digits", "make"]

FILE_NAME = "mnist.npz"
EXAMPLES = 1_797

Array = npt.NDArray[np.uint8]


class Digits(NamedTuple):
    """Images of digits and their labels.

    Attributes:
        images: uint8, shape (digits, 28, 28).
        labels: uint8, shape (digits,), 0 to 9.
    """

    images: Array
    labels: Array


def make(examples: int | None, seed: int) -> Digits:
    """Return sample digits in random order.

    Args:
        examples: The number of digits, up to 1,797; None means all.
        seed: Equal seeds give equal digits.
    """
    examples = examples or EXAMPLES
    if examples > EXAMPLES:
        raise ProjectError(f"--examples: the sample has {EXAMPLES} digits, found {examples}")
    with (
        as_file(files(__package__) / "digits.npz") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        images, labels = arrays["images"], arrays["labels"]
    chosen = np.random.default_rng(seed).permutation(len(images))[:examples]
    return Digits(_enlarge(images[chosen]), labels[chosen])


def _enlarge(images: npt.NDArray[np.uint8]) -> Array:
    """Enlarge 8×8 pixels of 0 to 16 to a 20×20 digit of 0 to 255, centred in 28×28 as in MNIST.

    Interpolates linearly along each axis with a 20×8 matrix of weights.
    """
    places = (np.arange(20) + 0.5) * 8 / 20 - 0.5
    distance = np.abs(places[:, np.newaxis] - np.arange(8))
    weights = np.maximum(1 - distance, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    digits = weights @ images.astype(np.float64) @ weights.T
    canvas = np.zeros((len(images), 28, 28), dtype=np.uint8)
    canvas[:, 4:24, 4:24] = np.round(digits * 255 / 16)
    return canvas
