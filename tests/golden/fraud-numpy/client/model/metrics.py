"""How good the model is. With fraud well under one per cent, accuracy would say nothing."""

from fednsite.data.examples import Array
from fednsite.metrics import average_precision_score, recall_at_precision, roc_auc_score

# What an investigator can bear: at least this share of the alarms must be real.
PRECISION = 0.5


def evaluate(labels: Array, probabilities: Array) -> dict[str, float]:
    """Measure predictions; the first metric is the headline, and more is better in all of them.

    Args:
        labels: int64, shape (examples,), 0 for the ordinary class: the schema's first, no fraud.
        probabilities: float32, shape (examples, classes). All other classes count as one.

    Returns:
        The metrics by name; NaN where one is not defined, as when a class is missing.
    """
    y_true, y_score = labels > 0, probabilities[:, 1:].sum(axis=1)
    return {
        "average_precision": average_precision_score(y_true, y_score),
        "roc_auc": roc_auc_score(y_true, y_score),
        f"recall_at_precision_{PRECISION:g}": recall_at_precision(y_true, y_score, PRECISION),
    }
