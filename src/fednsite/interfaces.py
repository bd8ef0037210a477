"""What the library expects of the package `model`, the model library beside the entry points.

Each protocol is an extension point: an owner's class or module only has to have these members.
"""

import gc
from pathlib import Path
from typing import Any, Protocol

from .data.examples import Array, Examples, Part
from .data.schema import Schema

__all__ = ["Classifier", "Data", "Metrics", "new_classifier"]

Metrics = dict[str, float]


class Classifier(Protocol):
    """A model whose weights travel as a list of arrays. The same in every framework."""

    def get_weights(self) -> list[Array]:
        """Return copies of the weights: float32 arrays, always in the same order."""

    def set_weights(self, weights: list[Array]) -> None:
        """Put the weights in place; they have the shapes of `get_weights`."""

    def fit(self, examples: Examples, settings: Any, seed: int) -> None:
        """Train on the examples, starting from the present weights and a fresh optimiser."""

    def predict(self, features: Array) -> Array:
        """Return class probabilities, float32, shape (examples, num_classes)."""


class Data(Protocol):
    """The module `model.data`: how a site's file becomes examples."""

    SCHEMA: Schema

    def load(self, part: Part, path: Path | None = None) -> Examples:
        """Read, check and scale a site's examples; `path` is FEDN_DATA_PATH when not given."""

    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one example's features."""

    def num_classes(self) -> int:
        """Return how many classes there are."""


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
