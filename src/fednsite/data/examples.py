"""The examples that a model trains on, as plain arrays."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import PackageError

__all__ = ["Array", "Examples", "Part", "balanced_weights", "held_out", "select"]

Array = npt.NDArray[Any]

# One in five examples of each class is held out for validation.
HELD_OUT_ONE_IN = 5

# A site's training examples, its held-out examples, or all examples in file order.
Part = Literal["train", "test", "all"]


@dataclass(frozen=True)
class Examples:
    """Examples of one site.

    Attributes:
        features: float32, shape (examples, *input_shape), scaled.
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
    """Return weights of the examples that give all classes equal influence on the loss.

    Source: King and Zeng, "Logistic Regression in Rare Events Data", 2001, section 4.2.

    Args:
        labels: int64, shape (examples,).

    Returns:
        float32, shape (examples,), with mean 1.
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (len(labels) / (len(counts) * counts))[inverse].astype(np.float32)


def held_out(labels: Array) -> Array:
    """Return whether each example is held out: one in `HELD_OUT_ONE_IN` of every class.

    The split is random but repeatable: equal labels give equal splits in every round. At least one
    example of each class with two or more examples is held out.

    Args:
        labels: int64, shape (examples,).

    Returns:
        bool, shape (examples,).
    """
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.random.default_rng(0).permutation(np.flatnonzero(labels == label))
        # The only example of a class is used for training, because it cannot be in both parts.
        chosen[rows[: max(len(rows) // HELD_OUT_ONE_IN, int(len(rows) > 1))]] = True
    return chosen


def select(part: Part, labels: Array) -> Array:
    """Return the row numbers of one part of a table, int64, in file order."""
    if part == "all":
        return np.arange(len(labels))
    return np.flatnonzero(held_out(labels) == (part == "test"))
