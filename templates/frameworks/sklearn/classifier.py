"""The model: a small multi-layer perceptron in scikit-learn."""

import numpy as np
from sklearn.neural_network import MLPClassifier

from fednsite.data.examples import Array, Examples, balanced_weights

from .settings import Settings


def build(settings: Settings, seed: int) -> MLPClassifier:
    """Return an untrained network. Define your own architecture here."""
    return MLPClassifier(
        hidden_layer_sizes=(64, 32),
        solver="adam",
        learning_rate_init=settings.learning_rate,
        random_state=seed,
    )


class Classifier:
    """A model whose weights are a list of arrays.

    Args:
        input_shape: The shape of one example's features.
        num_classes: The number of classes.
        seed: The seed of the initial weights.
    """

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, seed: int = 0) -> None:
        self.num_features = int(np.prod(input_shape))
        self.classes = np.arange(num_classes)
        self.network = self._untrained(Settings(), seed)

    def _untrained(self, settings: Settings, seed: int) -> MLPClassifier:
        """Return a network with initial weights.

        Scikit-learn creates weights in the first fit, so it gets one blank example per class.
        """
        network = build(settings, seed).set_params(batch_size=len(self.classes))
        blank = np.zeros((len(self.classes), self.num_features), dtype=np.float32)
        network.partial_fit(blank, self.classes, classes=self.classes)
        # Remove the blank step from Adam's moments: the next call creates a new optimiser.
        del network._optimizer
        return network

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, float32: all layers' coefficients, then all intercepts."""
        return [array.copy() for array in (*self.network.coefs_, *self.network.intercepts_)]

    def set_weights(self, weights: list[Array]) -> None:
        """Replace the weights; they must have the shapes of `get_weights`."""
        layers = len(self.network.coefs_)
        self.network.coefs_ = [array.copy() for array in weights[:layers]]
        self.network.intercepts_ = [array.copy() for array in weights[layers:]]

    def fit(self, examples: Examples, settings: Settings, seed: int) -> None:
        """Train on the examples from the current weights with a fresh optimiser."""
        weights = self.get_weights()
        self.network = self._untrained(settings, seed)
        self.network.set_params(batch_size=min(settings.batch_size, len(examples)))
        self.set_weights(weights)
        features = examples.features.reshape(len(examples), -1)
        sample_weight = balanced_weights(examples.labels) if settings.balance_classes else None
        # Each call is one pass over the examples, in random order and mini-batches.
        for _ in range(settings.epochs):
            self.network.partial_fit(features, examples.labels, sample_weight=sample_weight)

    def predict(self, features: Array) -> Array:
        """Return class probabilities, float32, shape (examples, num_classes)."""
        flat = features.reshape(len(features), -1)
        return np.asarray(self.network.predict_proba(flat), dtype=np.float32)
