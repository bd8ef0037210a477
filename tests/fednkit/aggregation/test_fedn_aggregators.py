"""FEDn's aggregators, driven in memory."""

import numpy as np
import pytest

from fednkit.aggregation.fedn_aggregators import Aggregation, Weights


def weights(value: float) -> Weights:
    return [np.full((2, 3), value, dtype=np.float32), np.full(3, -value, dtype=np.float32)]


def test_fedavg_is_the_mean_weighted_by_examples() -> None:
    combined = Aggregation("fedavg", "adam", 0.1).combine(
        weights(9), [(weights(1), 300), (weights(2), 100)]
    )
    assert [array.dtype for array in combined] == [np.float32, np.float32]
    assert all(map(np.allclose, combined, weights(1.25)))


@pytest.mark.parametrize("optimizer", ["adam", "yogi", "adagrad"])
def test_fedopt_steps_from_the_global_model_towards_the_updates(optimizer: str) -> None:
    combined = Aggregation("fedopt", optimizer, 0.1).combine(weights(0), [(weights(1), 10)])
    assert (combined[0] > 0).all()
    assert (combined[1] < 0).all()


@pytest.mark.parametrize("optimizer", ["adam", "yogi", "adagrad"])
def test_fedopt_goes_on_exactly_from_a_state_that_was_kept(optimizer: str) -> None:
    first, second = Aggregation("fedopt", optimizer, 0.1), Aggregation("fedopt", optimizer, 0.1)
    model = first.combine(weights(0), [(weights(1), 10)])
    second.restore(first.state())
    update = [(weights(3), 10)]
    assert all(map(np.array_equal, first.combine(model, update), second.combine(model, update)))


def test_an_update_that_fedn_cannot_take_is_not_passed_over() -> None:
    with pytest.raises(RuntimeError, match="FEDn combined 1 updates"):
        Aggregation("fedavg", "adam", 0.1).combine(
            weights(0), [(weights(1), 1), ([np.zeros(7, dtype=np.float32)], 1)]
        )
