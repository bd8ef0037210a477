"""Compare the metrics with values computed by hand."""

import numpy as np
import pytest

from model import metrics


def test_accuracy_and_log_loss() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0.25, 0.75]], dtype=np.float32)
    measured = metrics.evaluate(np.array([0, 1, 0]), probabilities)
    assert measured["accuracy"] == pytest.approx(2 / 3)
    assert measured["log_loss"] == pytest.approx(-np.log(0.5 * 0.75 * 0.25) / 3)


def test_the_log_loss_of_a_certain_and_wrong_prediction_is_finite() -> None:
    measured = metrics.evaluate(np.array([0]), np.array([[0, 1]], dtype=np.float32))
    assert measured["accuracy"] == 0
    assert 80 < measured["log_loss"] < 100
