"""The model's metrics."""

from fednsite.data.examples import Array
from fednsite.metrics import accuracy_score, log_loss


def evaluate(labels: Array, probabilities: Array) -> dict[str, float]:
    """Measure predictions; the first metric is the headline.

    Args:
        labels: int64, shape (examples,), the digits.
        probabilities: float32, shape (examples, 10).

    Returns:
        The accuracy (higher is better) and the mean log loss in nats (lower is better).
    """
    return {
        "accuracy": accuracy_score(labels, probabilities.argmax(axis=1)),
        "log_loss": log_loss(labels, probabilities),
    }
