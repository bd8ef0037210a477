"""Robust rules: how far updates can be moved by bad clients, and what a rule needs."""

import numpy as np
import pytest
from made_up_updates import BAD, HONEST, SHAPES, honest, same, weights

from fednkit.aggregation.fedn_aggregators import Aggregation
from fednkit.aggregation.robust import (
    ROBUST,
    bad_clients,
    clip,
    combine,
    krum_order,
    mean,
    median,
    trimmed_mean,
)


def test_the_rules_are_numpys_own_arithmetic() -> None:
    updates, examples = honest(), list(range(1, HONEST + 1))
    for index in range(len(SHAPES)):
        stacked = np.stack([update[index] for update in updates])
        weighted = np.average(stacked, axis=0, weights=examples)
        np.testing.assert_allclose(mean(updates, examples)[index], weighted, rtol=1e-5)
        np.testing.assert_array_equal(median(updates)[index], np.median(stacked, axis=0))
        middle = np.sort(stacked, axis=0)[2:-2].mean(axis=0)
        np.testing.assert_allclose(trimmed_mean(updates, 2)[index], middle, rtol=1e-6)
    np.testing.assert_allclose(trimmed_mean(updates, 0)[0], mean(updates, [1] * HONEST)[0], 1e-5)


def test_krum_takes_the_update_with_the_nearest_neighbours() -> None:
    # By hand, one number each: with one bad of five, the scores are sums of two squares.
    updates = [[np.array([value], dtype=np.float32)] for value in (0.0, 1.0, 10.0, 11.0, 12.5)]
    scores = [1 + 100, 1 + 81, 1 + 2.5**2, 1 + 1.5**2, 1.5**2 + 2.5**2]
    assert krum_order(updates, 1) == sorted(range(5), key=lambda position: scores[position])


@pytest.mark.parametrize("rule", ROBUST)
def test_what_a_client_says_of_its_examples_buys_it_nothing(rule: str) -> None:
    found, _ = combine(rule, honest(9), list(range(1, 10)), BAD)
    assert same(found, combine(rule, honest(9), [1] * 9, BAD)[0])


def test_the_mean_is_fedns_fedavg_to_the_last_bit() -> None:
    updates, examples = honest(), [7 * number + 1 for number in range(HONEST)]
    pairs = list(zip(updates, examples, strict=True))
    assert same(mean(updates, examples), Aggregation("fedavg", "adam", 0.1).combine([], pairs))


@pytest.mark.parametrize("rule", ROBUST)
def test_who_came_first_does_not_count(rule: str) -> None:
    updates = [*honest(), *[weights(value) for value in (-50, 9, 1000)]]
    expected, chosen = combine(rule, updates, [1] * len(updates), BAD)
    order = np.random.default_rng(1).permutation(len(updates)).tolist()
    found, permuted = combine(rule, [updates[at] for at in order], [1] * len(updates), BAD)
    assert sorted(order[position] for position in permuted) == chosen
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("rule", ROBUST)
@pytest.mark.parametrize("value", [1e30, -1e30, 3e38])
def test_up_to_its_breakdown_point_a_rule_stays_among_the_honest(rule: str, value: float) -> None:
    updates = [*honest(), *[weights(value)] * BAD]
    combined, _ = combine(rule, updates, [1] * len(updates), BAD)
    for index, array in enumerate(combined):
        stacked = np.stack([update[index] for update in honest()])
        assert (stacked.min(axis=0) <= array).all()
        assert (array <= stacked.max(axis=0)).all()


def test_beyond_it_every_rule_gives_way_and_fedavg_does_at_one() -> None:
    one = [*honest(), weights(1e6)]
    assert abs(mean(one, [1] * len(one))[0]).max() > 1e4
    assert abs(trimmed_mean([*one, weights(1e6)], 1)[0]).max() > 1e4
    assert median([*honest(3), *[weights(1e6)] * 4])[0].max() == 1e6
    assert combine("krum", [*honest(3), *[weights(1e6)] * 4], [1] * 7, 2)[0][0].max() == 1e6


@pytest.mark.parametrize(("rule", "least"), [("trimmed-mean", 7), ("krum", 9), ("multi-krum", 9)])
def test_too_few_updates_are_said_to_be_too_few(rule: str, least: int) -> None:
    assert combine(rule, honest(least), [1] * least, BAD)
    with pytest.raises(ValueError, match=f"{rule} needs {least} updates to tolerate 3 bad"):
        combine(rule, honest(least - 1), [1] * (least - 1), BAD)
    with pytest.raises(ValueError, match="expected"):
        krum_order(honest(4), 1)
    with pytest.raises(ValueError, match="expected"):
        trimmed_mean(honest(4), 2)


def test_bad_ones_that_were_found_out_need_not_be_tolerated() -> None:
    # Three of nine are tolerated, two of which are gone: the other seven stand one or two.
    found, chosen = combine("multi-krum", honest(7), [1] * 7, BAD, refused=2)
    assert len(chosen) == 5
    assert same(found, combine("multi-krum", honest(7), [1] * 7, 2)[0])
    with pytest.raises(ValueError, match="needs 7 updates to tolerate 2 bad ones, found 6"):
        combine("krum", honest(6), [1] * 6, BAD, refused=1)
    # Where there are enough of them, all are.
    assert len(combine("multi-krum", honest(9), [1] * 9, BAD, refused=2)[1]) == 6


def test_a_share_to_tolerate_is_rounded_up() -> None:
    assert [bad_clients(n, 0.2) for n in (1, 5, 6, 10, 11)] == [1, 1, 2, 2, 3]
    assert [bad_clients(10, share) for share in (0, 0.1, 0.3, 3)] == [0, 1, 3, 3]


def test_an_update_is_shortened_to_the_bound_and_keeps_its_direction() -> None:
    received, update = weights(1), weights(3)
    norm = 2 * np.sqrt(15)
    assert clip(update, received, norm * 1.001) == (update, False)
    shortened, changed = clip(update, received, 0.5)
    assert changed
    steps = [new - old for new, old in zip(shortened, received, strict=True)]
    assert np.sqrt(sum(float(np.square(step).sum()) for step in steps)) == pytest.approx(0.5)
    for step in steps:
        np.testing.assert_allclose(step, 2 * 0.5 / norm, rtol=1e-4)
    huge, _ = clip(weights(3e38), received, 0.5)
    np.testing.assert_allclose(huge[0] - 1, steps[0], rtol=1e-4)
    assert clip(received, received, 0.5) == (received, False)
