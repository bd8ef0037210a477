"""What the model learns from: plain arrays."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Which of a site's examples: those to learn from, those held out, or every one in file order.
Part = Literal["train", "test", "all"]


@dataclass(frozen=True)
class Dataset:
    """Examples of one site.

    features: float32, shape (examples, *input_shape), scaled and ready to feed.
    labels: int64, shape (examples,), the index of each example's class.
    """

    features: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


def balanced_weights(labels: Array) -> Array:
    """Weigh examples so that every class that occurs counts the same in the loss.

    labels: int64, shape (examples,). Returns float32, shape (examples,), mean 1.
    Source: King and Zeng, "Logistic Regression in Rare Events Data", 2001, section 4.2.
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (len(labels) / (len(counts) * counts))[inverse].astype(np.float32)
