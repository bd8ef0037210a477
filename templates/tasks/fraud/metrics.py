"""The model's metrics. Accuracy says little when under 1 % of the cases are fraud."""

from fednsite.data.examples import Array
from fednsite.metrics import average_precision_score, recall_at_precision, roc_auc_score

# Investigators accept alarms if at least this share of them is real.
PRECISION = 0.5


def evaluate(labels: Array, probabilities: Array) -> dict[str, float]:
    """Measure predictions. Higher is better for all metrics; the first is the headline.

    Args:
        labels: int64, shape (examples,), 0 for the normal class, which is the schema's first.
        probabilities: float32, shape (examples, classes). All other classes count as one.

    Returns:
        The metrics by name; NaN if a metric is undefined, for example when a class is missing.
    """
    y_true, y_score = labels > 0, probabilities[:, 1:].sum(axis=1)
    return {
        "average_precision": average_precision_score(y_true, y_score),
        "roc_auc": roc_auc_score(y_true, y_score),
        f"recall_at_precision_{PRECISION:g}": recall_at_precision(y_true, y_score, PRECISION),
    }
