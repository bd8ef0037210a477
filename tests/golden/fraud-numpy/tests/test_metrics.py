"""Compare the metrics with values computed by hand."""

import numpy as np
import pytest

from model import metrics


def evaluate(labels: list[int], scores: list[float]) -> dict[str, float]:
    fraud = np.array(scores, dtype=np.float32)
    return metrics.evaluate(np.array(labels), np.stack([1 - fraud, fraud], axis=1))


def test_a_perfect_ranking_scores_one_in_everything() -> None:
    measured = evaluate([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4])
    assert measured["average_precision"] == 1
    assert measured["roc_auc"] == 1
    assert measured["recall_at_precision_0.5"] == 1


def test_a_mixed_ranking() -> None:
    measured = evaluate([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
    # Thresholds at the two frauds: precision 1/1 and 2/3, half of the recall each.
    assert measured["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    # Of four pairs of a fraud and a legitimate payment, three are in the right order.
    assert measured["roc_auc"] == pytest.approx(3 / 4)
    assert measured["recall_at_precision_0.5"] == 1


def test_ties_count_half_in_any_order() -> None:
    for labels in ([1, 0, 0, 0], [0, 0, 0, 1]):
        measured = evaluate(labels, [0.5] * 4)
        assert measured["average_precision"] == 0.25
        assert measured["roc_auc"] == 0.5
        assert measured["recall_at_precision_0.5"] == 0


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_with_a_single_class_undefined_metrics_are_nan(labels: list[int]) -> None:
    measured = evaluate(labels, [0.1, 0.9])
    assert list(measured) == list(evaluate([0, 1], [0.1, 0.9]))
    assert np.isnan(measured["average_precision"])
    assert np.isnan(measured["roc_auc"])
    assert np.isnan(measured["recall_at_precision_0.5"])
