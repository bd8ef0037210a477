"""The examples that a model learns from: plain arrays."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import PackageError

__all__ = ["Array", "Examples", "Part", "balanced_weights", "held_out", "select"]

Array = npt.NDArray[Any]

# One example in so many is held out for validation, of each class.
HELD_OUT_ONE_IN = 5

# Which of a site's examples: those to learn from, those held out, or every one in file order.
Part = Literal["train", "test", "all"]


@dataclass(frozen=True)
class Examples:
    """Examples of one site.

    Attributes:
        features: float32, shape (examples, *input_shape), scaled and ready to feed.
        labels: int64, shape (examples,), the index of each example's class.

    Raises:
        PackageError: A feature is NaN or infinite.
    """

    features: Array
    labels: Array

    def __post_init__(self) -> None:
        finite = np.isfinite(self.features)
        if not finite.all():
            wrong = np.argwhere(~finite)[0]
            row, *feature = (str(index + 1) for index in wrong)
            raise PackageError(
                "features() in model/data.py: expected finite values in every row that the schema "
                f"allows, found {self.features[tuple(wrong)]} in row {row}, "
                f"feature {', '.join(feature)}"
            )

    def __len__(self) -> int:
        return len(self.labels)


def balanced_weights(labels: Array) -> Array:
    """Weigh examples so that every class that occurs counts the same in the loss.

    labels: int64, shape (examples,). Returns float32, shape (examples,), mean 1.
    Source: King and Zeng, "Logistic Regression in Rare Events Data", 2001, section 4.2.
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (len(labels) / (len(counts) * counts))[inverse].astype(np.float32)


def held_out(labels: Array) -> Array:
    """Tell for each example whether it is held out: one in `HELD_OUT_ONE_IN` of every class.

    Of a class with two examples or more, at least one is.

    labels: int64, shape (examples,). Returns bool, same shape. The choice is random but fixed:
    the same labels give the same split in every round.
    """
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.random.default_rng(0).permutation(np.flatnonzero(labels == label))
        # A class with a single example is left to training: it cannot be in both.
        chosen[rows[: max(len(rows) // HELD_OUT_ONE_IN, int(len(rows) > 1))]] = True
    return chosen


def select(part: Part, labels: Array) -> Array:
    """Return the row numbers of one part of a table, int64, in the order of the file."""
    if part == "all":
        return np.arange(len(labels))
    return np.flatnonzero(held_out(labels) == (part == "test"))
