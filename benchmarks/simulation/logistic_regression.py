"""The model of the simulation benchmark: logistic regression, plainly in NumPy.

It has the interface of a generated project's classifier, whose place it takes, and the Flower
app of the benchmark uses the same class.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Classifier:
    """Two classes, one weight per feature and a bias: mini-batch gradient descent."""

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, seed: int = 0) -> None:
        self.weights: Array = np.zeros(input_shape[0], dtype=np.float32)
        self.bias: Array = np.zeros(1, dtype=np.float32)

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, float32."""
        return [self.weights.copy(), self.bias.copy()]

    def set_weights(self, weights: list[Array]) -> None:
        """Put the weights in place."""
        self.weights, self.bias = (array.copy() for array in weights)

    def fit(self, dataset: Any, settings: Any, seed: int) -> None:
        """Train on features, shape (examples, features), and labels of 0 and 1."""
        random = np.random.default_rng(seed)
        for _ in range(settings.epochs):
            order = random.permutation(len(dataset.labels))
            for start in range(0, len(order), settings.batch_size):
                batch = order[start : start + settings.batch_size]
                features = dataset.features[batch]
                error = self._probability(features) - dataset.labels[batch].astype(np.float32)
                step = np.float32(settings.learning_rate)
                self.weights -= step * (features.T @ error) / np.float32(len(batch))
                self.bias -= step * error.mean()

    def predict(self, features: Array) -> Array:
        """Return class probabilities, float32, shape (examples, 2)."""
        probability = self._probability(features)
        return np.stack([1 - probability, probability], axis=1)

    def _probability(self, features: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-(features @ self.weights + self.bias))))
