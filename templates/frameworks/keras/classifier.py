"""The model: a small dense network in Keras on TensorFlow."""

import os

# TensorFlow reads these on import. Its C++ code logs a page of notices in every run; real errors
# are raised as exceptions too. oneDNN's sums depend on the number of threads.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf

from fednsite.data.examples import Array, Examples, balanced_weights

from .settings import Settings

tf.config.experimental.enable_op_determinism()
tf.get_logger().setLevel("ERROR")


def build(input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Return an untrained network. Define your own architecture here."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )


class Classifier:
    """A model whose weights are a list of arrays.

    Args:
        input_shape: The shape of one example's features.
        num_classes: The number of classes.
        seed: The seed of the initial weights.
    """

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, seed: int = 0) -> None:
        keras.utils.set_random_seed(seed)
        self.network = build(input_shape, num_classes)
        # Compiled only once, because TensorFlow traces the training step again after each compile.
        self.optimizer = keras.optimizers.Adam()
        self.network.compile(
            self.optimizer,
            loss="sparse_categorical_crossentropy",
            # Run 32 batches before returning to Python: equal results in half the time.
            steps_per_execution=32,
        )
        self.optimizer.build(self.network.trainable_variables)
        # The seeds of layers that are random in training, such as Dropout.
        self.generators = [v for v in self.network.variables if v.path.endswith("generator_state")]

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, float32, in Keras' order."""
        return [np.array(weight) for weight in self.network.get_weights()]

    def set_weights(self, weights: list[Array]) -> None:
        """Replace the weights; they must have the shapes of `get_weights`."""
        self.network.set_weights(weights)

    def fit(self, examples: Examples, settings: Settings, seed: int) -> None:
        """Train on the examples from the current weights with a fresh optimiser."""
        keras.utils.set_random_seed(seed)
        for number, generator in enumerate(self.generators):
            generator.assign([(seed + number) % 2**32, 0])
        for variable in self.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        self.optimizer.learning_rate = settings.learning_rate
        self.network.fit(
            examples.features,
            examples.labels,
            sample_weight=balanced_weights(examples.labels) if settings.balance_classes else None,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            verbose=0,
        )

    def predict(self, features: Array) -> Array:
        """Return class probabilities, float32, shape (examples, num_classes)."""
        return np.asarray(self.network.predict(features, batch_size=1024, verbose=0))
