"""How good the model is at reading digits."""

import numpy as np

from .dataset import Array


def evaluate(labels: Array, probabilities: Array) -> dict[str, float]:
    """Measure predictions; the first metric is the headline.

    labels: int64, shape (examples,), the digits.
    probabilities: float32, shape (examples, 10).
    Returns the accuracy (more is better) and the mean log loss in nats (less is better).
    """
    probability_of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    # The smallest float32 step above 0 keeps the logarithm finite when a model is sure and wrong.
    floor = float(np.finfo(np.float32).tiny)
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == labels)),
        "log_loss": float(-np.mean(np.log(np.maximum(probability_of_label, floor)))),
    }
