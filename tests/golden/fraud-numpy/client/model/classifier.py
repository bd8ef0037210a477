"""The model: a small multi-layer perceptron in plain NumPy."""

from itertools import pairwise

import numpy as np

from fednsite.data.examples import Array, Examples, balanced_weights

from .settings import Settings

# Set your own architecture here: the units of each hidden layer.
HIDDEN_LAYERS = (64, 32)


class Classifier:
    """A model whose weights are a list of arrays.

    Args:
        input_shape: The shape of one example's features.
        num_classes: The number of classes.
        seed: The seed of the initial weights.
    """

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        sizes = (int(np.prod(input_shape)), *HIDDEN_LAYERS, num_classes)
        self.layers: list[tuple[Array, Array]] = [
            (_glorot(random, inputs, outputs), np.zeros(outputs, dtype=np.float32))
            for inputs, outputs in pairwise(sizes)
        ]

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, float32: matrix and bias of each layer in turn."""
        return [array.copy() for layer in self.layers for array in layer]

    def set_weights(self, weights: list[Array]) -> None:
        """Replace the weights; they must have the shapes of `get_weights`."""
        copies = [array.copy() for array in weights]
        self.layers = list(zip(copies[::2], copies[1::2], strict=True))

    def fit(self, examples: Examples, settings: Settings, seed: int) -> None:
        """Train on the examples from the current weights with a fresh optimiser."""
        random = np.random.default_rng(seed)
        features = examples.features.reshape(len(examples), -1)
        importance = (
            balanced_weights(examples.labels)
            if settings.balance_classes
            else np.ones(len(examples), dtype=np.float32)
        )
        optimizer = Adam(settings.learning_rate)
        for _ in range(settings.epochs):
            order = random.permutation(len(examples))
            for start in range(0, len(order), settings.batch_size):
                batch = order[start : start + settings.batch_size]
                gradients = self._gradients(
                    features[batch], examples.labels[batch], importance[batch]
                )
                optimizer.step([array for layer in self.layers for array in layer], gradients)

    def predict(self, features: Array) -> Array:
        """Return class probabilities, float32, shape (examples, num_classes)."""
        return self._forward(features.reshape(len(features), -1))[-1]

    def _forward(self, features: Array) -> list[Array]:
        """Return the input and every layer's output: ReLU in hidden layers, softmax in the last."""
        outputs = [features]
        for matrix, bias in self.layers[:-1]:
            outputs.append(np.maximum(outputs[-1] @ matrix + bias, 0))
        matrix, bias = self.layers[-1]
        scores = outputs[-1] @ matrix + bias
        exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
        outputs.append(exponents / exponents.sum(axis=1, keepdims=True))
        return outputs

    def _gradients(self, features: Array, labels: Array, importance: Array) -> list[Array]:
        """Return the gradient of the mean weighted cross-entropy, in `get_weights` order."""
        outputs = self._forward(features)
        # The gradient of softmax with cross-entropy: predicted minus true probabilities.
        delta = outputs.pop()
        delta[np.arange(len(labels)), labels] -= 1
        delta *= importance[:, np.newaxis] / len(labels)
        gradients: list[Array] = []
        for (matrix, _), inputs in zip(reversed(self.layers), reversed(outputs), strict=True):
            gradients = [inputs.T @ delta, delta.sum(axis=0), *gradients]
            delta = (delta @ matrix.T) * (inputs > 0)
        return gradients


class Adam:
    """The Adam optimiser.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.steps = 0
        self.moments: list[tuple[Array, Array]] = []

    def step(self, weights: list[Array], gradients: list[Array]) -> None:
        """Update the weights in place."""
        self.moments = self.moments or [(np.zeros_like(g), np.zeros_like(g)) for g in gradients]
        self.steps += 1
        rate = self.learning_rate * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for weight, gradient, (mean, square) in zip(weights, gradients, self.moments, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            weight -= np.float32(rate) * mean / (np.sqrt(square) + 1e-7)


def _glorot(random: np.random.Generator, inputs: int, outputs: int) -> Array:
    """Return a random matrix, float32, shape (inputs, outputs).

    Source: Glorot and Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural
    Networks", 2010, equation 16.
    """
    limit = np.sqrt(6 / (inputs + outputs))
    return random.uniform(-limit, limit, (inputs, outputs)).astype(np.float32)
