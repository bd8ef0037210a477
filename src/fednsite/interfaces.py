"""The interfaces of the package `model`, the model library next to the entry points.

Each protocol is an extension point: the owner's class or module only needs these members.
"""

import gc
from pathlib import Path
from typing import Any, Protocol

from .data.examples import Array, Examples, Part
from .data.schema import Schema

__all__ = ["Classifier", "Data", "Metrics", "new_classifier"]

Metrics = dict[str, float]


class Classifier(Protocol):
    """A model whose weights are a list of arrays, with the same interface in every framework."""

    def get_weights(self) -> list[Array]:
        """Return copies of the weights: float32 arrays, always in the same order."""

    def set_weights(self, weights: list[Array]) -> None:
        """Replace the weights; they have the shapes of `get_weights`."""

    def fit(self, examples: Examples, settings: Any, seed: int) -> None:
        """Train on the examples from the current weights with a fresh optimiser."""

    def predict(self, features: Array) -> Array:
        """Return class probabilities, float32, shape (examples, num_classes)."""


class Data(Protocol):
    """The module `model.data`, which turns a site's file into examples."""

    SCHEMA: Schema

    def load(self, part: Part, path: Path | None = None) -> Examples:
        """Read, check and scale a site's examples; `path` defaults to FEDN_DATA_PATH."""

    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one example's features."""

    def num_classes(self) -> int:
        """Return the number of classes."""


def new_classifier(data: Data, seed: int = 0) -> Classifier:
    """Import the framework and return an untrained model for these data.

    Importing a framework creates about a million long-lived objects. The garbage collector is off
    during the import and ignores them afterwards: TensorFlow starts a third faster.
    """
    gc.disable()
    try:
        from model.classifier import Classifier as Imported
    finally:
        gc.freeze()
        gc.enable()
    classifier: Classifier = Imported(data.input_shape(), data.num_classes(), seed)
    return classifier
