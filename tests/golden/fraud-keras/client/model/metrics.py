"""How good the model is. With fraud well under one per cent, accuracy would say nothing."""

import numpy as np

from .dataset import Array

# What an investigator can bear: at least this share of the alarms must be real.
PRECISION = 0.5


def evaluate(labels: Array, probabilities: Array) -> dict[str, float]:
    """Measure predictions; the first metric is the headline, more is better in all of them.

    labels: int64, shape (examples,), 0 for the ordinary class, the schema's first: no fraud.
    probabilities: float32, shape (examples, classes). What is measured is how well all other
    classes are told from the ordinary one.
    A metric is NaN where it is not defined: all of them when one class is missing.

    Source: Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves",
    2006. The average precision is the step-wise sum over thresholds, ties taken together.
    """
    scores = probabilities[:, 1:].sum(axis=1)
    order = np.argsort(-scores, kind="stable")
    hits = labels[order] > 0
    # A threshold can only fall between two different scores.
    last_of_tie = np.flatnonzero(np.append(np.diff(scores[order]), 1.0))
    true_positives = np.cumsum(hits)[last_of_tie].astype(np.float64)
    false_positives = (last_of_tie + 1) - true_positives

    positives, negatives = int(hits.sum()), int((~hits).sum())
    if positives == 0 or negatives == 0:
        names = ("average_precision", "roc_auc", f"recall_at_precision_{PRECISION:g}")
        return dict.fromkeys(names, float("nan"))

    precision = true_positives / (last_of_tie + 1)
    recall = true_positives / positives
    false_positive_rate = false_positives / negatives
    steps = np.diff(recall, prepend=0.0)
    # The area under the ROC curve by the trapezoidal rule, from the corner (0, 0).
    widths = np.diff(false_positive_rate, prepend=0.0)
    heights = (recall + np.append(0.0, recall[:-1])) / 2
    return {
        "average_precision": float(np.sum(steps * precision)),
        "roc_auc": float(np.sum(widths * heights)),
        f"recall_at_precision_{PRECISION:g}": float(
            np.max(recall, initial=0.0, where=precision >= PRECISION)
        ),
    }
