"""How a round is combined: who counts, what becomes of each update, and when the model stays."""

from typing import Any

import numpy as np
import pytest
from made_up_updates import defence, forbidden, honest, same, weights

from fednkit.aggregation.combination import combine_round, defend
from fednkit.aggregation.robust import ROBUST, Weights


@pytest.mark.parametrize("rule", ["fedavg", *ROBUST])
def test_refused_and_exhausted_sites_do_not_count(rule: str) -> None:
    arrived: dict[Any, tuple[Weights, dict[str, Any]]] = {
        f"site-{number}": (update, {"num_examples": 10}) for number, update in enumerate(honest())
    }
    expected, _ = combine_round(weights(0), arrived, defence(rule, tolerate=2), forbidden)
    arrived["site-98"] = weights(np.nan), {"num_examples": 10}
    spent = weights(0), {"num_examples": 10, "privacy": {"exhausted": True}}
    arrived["site-99"] = spent
    model, outcome = combine_round(weights(0), arrived, defence(rule, tolerate=2), forbidden)
    assert expected is not None
    assert model is not None
    assert same(model, expected)
    assert outcome["exhausted"] == ["site-99"]
    assert outcome["refused"] == {"site-98": "array 0 holds NaN or infinite values"}
    assert "clipped" not in outcome
    stays, why = combine_round(weights(0), {"a": spent, "b": spent}, None, forbidden)
    assert stays is not None
    assert same(stays, weights(0))
    assert why["stays"] == "the privacy budget of every site is spent"
    assert combine_round(weights(0), {"site-98": arrived["site-98"]}, None, forbidden)[0] is None


def test_the_model_stays_when_the_next_one_cannot_be_trusted() -> None:
    arrived = {n: (update, {"num_examples": 1}) for n, update in enumerate(honest(5))}
    model, outcome = combine_round(weights(0), arrived, defence("krum", tolerate=2), forbidden)
    assert model is not None
    assert same(model, weights(0))
    assert outcome == {"stays": "krum needs 7 updates to tolerate 2 bad ones, found 5"}
    model, outcome = combine_round(weights(7), arrived, None, lambda _: weights(np.inf))
    assert model is not None
    assert same(model, weights(7))
    assert outcome == {"stays": "the updates' numbers are too large to combine"}
    large = {n: (weights(3e38), {"num_examples": 1}) for n in range(4)}
    with np.errstate(over="ignore"):
        assert defend(weights(7), large, defence("median"), 0)[1] == outcome
