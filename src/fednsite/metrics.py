"""Metrics under scikit-learn's names, in NumPy alone, because scikit-learn's are slow to import.

With those, a validation in NumPy takes 1.5 s in place of 0.4 s and 176 MB of memory in place of
99 MB, and the environment is 200 MB larger. A test compares the values with scikit-learn's. Where a
class is missing and a metric not defined, these return NaN, without a warning.
"""

import numpy as np

from .data.examples import Array

__all__ = [
    "accuracy_score",
    "average_precision_score",
    "log_loss",
    "recall_at_precision",
    "roc_auc_score",
]


def accuracy_score(y_true: Array, y_pred: Array) -> float:
    """Return the share of predicted classes that are right."""
    return float(np.mean(y_pred == y_true))


def log_loss(y_true: Array, y_prob: Array) -> float:
    """Return the mean log loss in nats.

    Args:
        y_true: int64, shape (examples,), the index of each example's class.
        y_prob: Probabilities, shape (examples, classes).
    """
    probability_of_label = y_prob[np.arange(len(y_true)), y_true].astype(np.float64)
    # The smallest float32 step above 0 keeps the logarithm finite when a model is sure and wrong.
    smallest = float(np.finfo(np.float32).tiny)
    return float(-np.mean(np.log(np.maximum(probability_of_label, smallest))))


def average_precision_score(y_true: Array, y_score: Array) -> float:
    """Return the average precision: the step-wise sum over thresholds, ties taken together.

    Source: Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves", 2006.
    NaN when all examples are of one class.

    Args:
        y_true: bool, shape (examples,), whether an example is positive.
        y_score: Shape (examples,): the higher, the surer that an example is positive.
    """
    if not 0 < np.count_nonzero(y_true) < len(y_true):
        return float("nan")
    true_positives, predicted, positives = _counts(y_true, y_score)
    steps = np.diff(true_positives / positives, prepend=0.0)
    return float(np.sum(steps * (true_positives / predicted)))


def roc_auc_score(y_true: Array, y_score: Array) -> float:
    """Return the area under the ROC curve by the trapezoidal rule, from the corner (0, 0).

    NaN when all examples are of one class.

    Args:
        y_true: bool, shape (examples,), whether an example is positive.
        y_score: Shape (examples,): the higher, the surer that an example is positive.
    """
    if not 0 < np.count_nonzero(y_true) < len(y_true):
        return float("nan")
    true_positives, predicted, positives = _counts(y_true, y_score)
    recall = true_positives / positives
    false_positive_rate = (predicted - true_positives) / (len(y_true) - positives)
    widths = np.diff(false_positive_rate, prepend=0.0)
    heights = (recall + np.append(0.0, recall[:-1])) / 2
    return float(np.sum(widths * heights))


def recall_at_precision(y_true: Array, y_score: Array, precision: float) -> float:
    """Return the highest recall at any threshold with at least this precision; 0 without one.

    scikit-learn has no such function. NaN when all examples are of one class.

    Args:
        y_true: bool, shape (examples,), whether an example is positive.
        y_score: Shape (examples,): the higher, the surer that an example is positive.
        precision: From 0 to 1.
    """
    if not 0 < np.count_nonzero(y_true) < len(y_true):
        return float("nan")
    true_positives, predicted, positives = _counts(y_true, y_score)
    reached = true_positives / predicted >= precision
    return float(np.max(true_positives / positives, initial=0.0, where=reached))


def _counts(y_true: Array, y_score: Array) -> tuple[Array, Array, int]:
    """Return true positives and all predicted positives at each threshold; and all positives."""
    order = np.argsort(-y_score, kind="stable")
    hits = y_true[order]
    # A threshold can only fall between two different scores.
    last_of_tie = np.flatnonzero(np.append(np.diff(y_score[order]), 1.0))
    true_positives = np.cumsum(hits)[last_of_tie].astype(np.float64)
    return true_positives, last_of_tie + 1, int(np.count_nonzero(hits))
