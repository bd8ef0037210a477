"""The attacks that a simulation tries defences with, and the options of both."""

from typing import Any

import numpy as np
import pytest
from made_up_updates import same, weights

from fednkit.aggregation import server_functions
from fednkit.aggregation.robust import Weights
from fednkit.project.errors import ProjectError
from fednkit.simulation import _attacks as attacks
from fednkit.simulation._setup import Options


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"norm_bound": 0.0}, "--norm-bound: expected a number above 0, found 0"),
        ({"norm_bound": float("nan")}, "--norm-bound: expected a number above 0, found nan"),
        ({"norm_bound": 1.0, "aggregator": "fedopt"}, "--norm-bound: goes with every aggregator"),
        ({"tolerate": 0.2}, "--tolerate: goes with --aggregator trimmed-mean, krum, multi-krum"),
        ({"tolerate": 0.5, "aggregator": "krum"}, "--tolerate: expected a number of clients, or a"),
        ({"tolerate": 1.5, "aggregator": "krum"}, "--tolerate: expected a number of clients, or a"),
        ({"tolerate": 4.0, "aggregator": "krum"}, "--aggregator krum: expected 11 clients or more"),
        ({"attackers": 0.1}, "--attackers: goes with --attack NAME"),
        ({"attack": "nan", "attackers": 1.1}, "--attackers: expected 0 to 1, found 1.1"),
        ({"attack": "nan", "attack_strength": 1.0}, "--attack-strength: nan has no strength"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ProjectError) as error:
        server_functions.check_updates(Options(**given), 10)
    assert str(error.value).startswith(expected)


def test_the_attacks_send_what_they_are_called() -> None:
    received, update = weights(1), weights(3)

    def sent(attack: attacks.Attack, strength: float | None = 2.0) -> Weights:
        return attacks.forge(attack, strength, received, update, [0])

    assert same(sent("sign-flip"), weights(-3))
    assert same(sent("scale"), weights(5))
    assert same(sent("constant"), weights(2))
    assert np.isnan(sent("nan", None)[0]).all()
    assert same(sent("label-flip", None), update)
    noise = [new - old for new, old in zip(sent("random"), received, strict=True)]
    length = np.sqrt(sum(float(np.square(array).sum()) for array in noise))
    assert length == pytest.approx(2 * 2 * np.sqrt(15), rel=1e-5)
    assert same(sent("random"), sent("random"))


def test_the_seed_draws_the_bad_clients() -> None:
    drawn = [attacks.attackers(Options(attack="nan", attackers=0.2), 20, seed) for seed in range(9)]
    assert all(len(bad) == 4 for bad in drawn)
    assert len({tuple(sorted(bad)) for bad in drawn}) > 5
    assert attacks.attackers(Options(), 20, 0) == set()
