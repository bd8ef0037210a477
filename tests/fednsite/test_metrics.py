"""The metrics against scikit-learn's, and against values worked out by hand."""

from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from fednsite.data.examples import Array
from fednsite.metrics import (
    accuracy_score,
    average_precision_score,
    log_loss,
    recall_at_precision,
    roc_auc_score,
)

RANKING = average_precision_score, roc_auc_score


def drawn(seed: int) -> tuple[Array, Array]:
    """Return labels of both classes and scores; the higher the seed, the fewer ties."""
    random = np.random.default_rng(seed)
    examples = int(random.integers(2, 200))
    y_true = random.random(examples) < random.uniform(0.02, 0.98)
    y_true[:2] = True, False
    levels = int(random.integers(1, 2 + seed))
    y_score = random.integers(0, levels, examples) / levels
    dtype = np.float32 if seed % 2 else np.float64
    order = random.permutation(examples)
    return y_true[order], y_score[order].astype(dtype)


def test_rankings_are_measured_as_scikit_learn_does_also_with_ties() -> None:
    for seed in range(300):
        y_true, y_score = drawn(seed)
        for metric in RANKING:
            theirs = getattr(sklearn.metrics, metric.__name__)(y_true, y_score)
            found = metric(y_true, y_score)
            assert found == pytest.approx(theirs, abs=1e-12), (metric.__name__, seed)


def test_the_recall_is_the_highest_on_scikit_learns_curve_at_that_precision() -> None:
    for seed in range(100):
        y_true, y_score = drawn(seed)
        precisions, recalls, _ = sklearn.metrics.precision_recall_curve(y_true, y_score)
        for least in (0.0, 0.1, 0.5, 0.9, 1.0):
            # The curve's last point, recall 0 at precision 1, belongs to no threshold.
            highest = max(recalls[:-1][precisions[:-1] >= least], default=0.0)
            assert recall_at_precision(y_true, y_score, least) == highest, (least, seed)


@pytest.mark.parametrize("seed", range(20))
def test_classes_are_measured_as_scikit_learn_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    classes, examples = int(random.integers(2, 11)), int(random.integers(1, 200))
    y_true = random.integers(0, classes, examples)
    y_prob = random.dirichlet(np.full(classes, 0.5), examples).clip(1e-6)
    y_prob /= y_prob.sum(axis=1, keepdims=True)
    y_pred = y_prob.argmax(axis=1)
    assert accuracy_score(y_true, y_pred) == sklearn.metrics.accuracy_score(y_true, y_pred)
    theirs = sklearn.metrics.log_loss(y_true, y_prob, labels=range(classes))
    assert log_loss(y_true, y_prob) == pytest.approx(theirs, rel=1e-12)
    assert log_loss(y_true, y_prob.astype(np.float32)) == pytest.approx(theirs, rel=1e-5)


def measured(labels: list[int], scores: list[float]) -> tuple[float, float, float]:
    """Return average precision, area under the ROC curve, and recall at precision 0.5."""
    y_true, y_score = np.array(labels) > 0, np.array(scores, dtype=np.float32)
    average_precision, roc_auc = (metric(y_true, y_score) for metric in RANKING)
    return average_precision, roc_auc, recall_at_precision(y_true, y_score, 0.5)


def test_a_perfect_ranking_scores_one_in_everything() -> None:
    assert measured([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]) == (1, 1, 1)


def test_a_mixed_ranking_scores_what_it_does_by_hand() -> None:
    average_precision, roc_auc, recall = measured([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
    # Thresholds at the two positives: precision 1/1 and 2/3, half of the recall each.
    assert average_precision == pytest.approx((1 + 2 / 3) / 2)
    # Of four pairs of a positive and a negative, three are in the right order.
    assert roc_auc == pytest.approx(3 / 4)
    assert recall == 1


def test_ties_count_half_whatever_their_order() -> None:
    for labels in ([1, 0, 0, 0], [0, 0, 0, 1]):
        assert measured(labels, [0.5] * 4) == (0.25, 0.5, 0)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_with_a_single_class_nothing_is_defined(labels: list[int]) -> None:
    assert np.isnan(measured(labels, [0.1, 0.9])).all()


def test_accuracy_and_log_loss_are_what_they_are_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0.25, 0.75]], dtype=np.float32)
    y_true = np.array([0, 1, 0])
    assert accuracy_score(y_true, probabilities.argmax(axis=1)) == pytest.approx(2 / 3)
    assert log_loss(y_true, probabilities) == pytest.approx(-np.log(0.5 * 0.75 * 0.25) / 3)


def test_being_sure_and_wrong_stays_finite() -> None:
    y_true, probabilities = np.array([0]), np.array([[0, 1]], dtype=np.float32)
    assert accuracy_score(y_true, probabilities.argmax(axis=1)) == 0
    assert 80 < log_loss(y_true, probabilities) < 100


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_metric_is_a_plain_number(dtype: Any) -> None:
    y_true, y_score = np.array([True, False, True]), np.array([0.2, 0.1, 0.9], dtype=dtype)
    y_prob = np.stack([1 - y_score, y_score], axis=1)
    found = [
        *(metric(y_true, y_score) for metric in RANKING),
        recall_at_precision(y_true, y_score, 0.5),
        accuracy_score(y_true, y_score > 0.5),
        log_loss(y_true.astype(np.int64), y_prob),
    ]
    assert {type(value) for value in found} == {float}
