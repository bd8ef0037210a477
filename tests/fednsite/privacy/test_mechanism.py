"""Differential privacy: what it adds up to, what is added to an update, and who may weaken it.

Whole training steps under these terms are in test_noised_steps.py.
"""

import itertools
import math
from typing import Any

import dp_accounting
import numpy as np
import pytest

from fednsite.data.examples import Array
from fednsite.errors import PackageError
from fednsite.privacy.accounting import epsilon
from fednsite.privacy.mechanism import Terms, noised
from fednsite.privacy.noise import NUMBERS_AT_A_TIME
from fednsite.settings import BaseSettings

# Standard errors that a measured figure may be off: by chance, once in 500 million tests.
SIGMAS = 6


def flat(arrays: list[Array]) -> Array:
    return np.concatenate([array.astype(np.float64).ravel() for array in arrays])


def test_epsilon_is_the_figure_of_googles_accountant() -> None:
    grid = itertools.product([0.3, 0.5, 1, 2, 4, 20], [1, 5, 50, 1000], [1e-3, 1e-5, 1e-9])
    for noise, rounds, delta in grid:
        theirs = dp_accounting.get_epsilon_gaussian(noise / math.sqrt(rounds), delta)
        assert epsilon({noise: rounds}, delta) == pytest.approx(theirs, rel=1e-9), (noise, rounds)


@pytest.mark.parametrize("updates", [{4.0: 20}, {1.0: 3, 2.5: 4}])
def test_updates_add_up_as_googles_accountant_composes_them(updates: dict[float, int]) -> None:
    accountant = dp_accounting.pld.PLDAccountant()
    for noise, count in updates.items():
        accountant.compose(dp_accounting.GaussianDpEvent(noise), count)
    # It works on a grid of losses, from which its figure is a little above.
    assert epsilon(updates, 1e-5) == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-3)


def test_extremes_have_a_figure_too() -> None:
    assert epsilon({}, 1e-5) == 0
    assert epsilon({1e9: 1}, 1e-5) == 0
    assert epsilon({1e-200: 1}, 1e-5) == math.inf
    assert epsilon({1e-5: 1}, 1e-5) == pytest.approx(5e9, rel=1e-3)
    figures = [epsilon({1.0: count}, 1e-300) for count in range(1, 50)]
    assert figures == sorted(set(figures))


def test_a_long_change_is_clipped_over_all_arrays_together() -> None:
    received = [np.zeros((20, 10), np.float32), np.ones(10, np.float32)]
    trained = [array + 5 for array in received]
    silent = Terms(noise=1e-9, clip=2.0, budget=1.0, delta=1e-5)
    change = flat(noised(received, trained, silent)) - flat(received)
    assert np.linalg.norm(change) == pytest.approx(2.0, rel=1e-5)
    assert np.allclose(change, change[0])
    short = [array + np.float32(0.01) for array in received]
    change = flat(noised(received, short, silent)) - flat(received)
    assert np.allclose(change, 0.01, atol=1e-6)


def test_whole_numbers_do_not_leave() -> None:
    received = [np.zeros(3, np.float32), np.array([4, 5])]
    sent = noised(received, [array + 1 for array in received], Terms(1.0, 1.0, 8.0, 1e-5))
    assert sent[1].tolist() == [4, 5]
    assert sent[0].dtype == np.float32
    assert sent[0].all()


def test_the_noise_is_normal_and_as_strong_as_it_is_said_to_be() -> None:
    # More than are drawn at a time, and not a multiple of it.
    count = 2 * NUMBERS_AT_A_TIME + 1001
    received = [np.zeros(count, np.float32)]
    sent = flat(noised(received, received, Terms(1.5, 0.4, 8.0, 1e-5))) / (1.5 * 0.4)
    # The moments of a normal number and their standard errors: 1/n, 2/n, 15/n, 96/n.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = float(np.mean(sent**power)) - moment
        assert abs(error) < SIGMAS * math.sqrt(variance / count), power
    for shift in (1, 2, count // 2):
        product = float(np.mean(sent[shift:] * sent[:-shift]))
        assert abs(product) < SIGMAS / math.sqrt(count - shift), shift


@pytest.mark.parametrize(
    ("sent", "own", "expected"),
    [
        ({}, {}, None),
        ({"noise": 2.0}, {}, Terms(2.0, 1.0, 8.0, 1e-5)),
        ({}, {"NOISE": "2"}, Terms(2.0, 1.0, 8.0, 1e-5)),
        ({"noise": 0.1, "budget": 1e9}, {"NOISE": "2", "BUDGET": "3"}, Terms(2.0, 1.0, 3.0, 1e-5)),
        ({"noise": 5.0, "budget": 1.0}, {"NOISE": "2", "BUDGET": "3"}, Terms(5.0, 1.0, 1.0, 1e-5)),
        ({"noise": 1.0, "delta": 0.5}, {"DELTA": "1e-7"}, Terms(1.0, 1.0, 8.0, 1e-7)),
        ({"noise": 1.0, "delta": 1e-9}, {"DELTA": "1e-7"}, Terms(1.0, 1.0, 8.0, 1e-9)),
        ({"noise": 1.0, "clip": 9.0}, {"CLIP": "0.5"}, Terms(1.0, 0.5, 8.0, 1e-5)),
        ({"noise": 1.0, "clip": 0.1}, {"CLIP": "0.5"}, Terms(1.0, 0.1, 8.0, 1e-5)),
    ],
)
def test_the_stricter_of_server_and_site_holds(
    sent: dict[str, Any], own: dict[str, str], expected: Terms | None
) -> None:
    environment = {f"PRIVACY_{name}": value for name, value in own.items()}
    assert Terms.agreed(BaseSettings.override(sent), environment) == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"NOISE": "much"}, "PRIVACY_NOISE: expected a number of 0 or more, found 'much'"),
        ({"NOISE": "-1"}, "PRIVACY_NOISE: expected a number of 0 or more, found '-1'"),
        ({"NOISE": "inf"}, "PRIVACY_NOISE: expected a number of 0 or more, found 'inf'"),
        ({"NOISE": "1", "CLIP": "0"}, "PRIVACY_CLIP: expected a number above 0, found '0'"),
        ({"NOISE": "1", "BUDGET": "nan"}, "PRIVACY_BUDGET: expected a number above 0, found 'nan'"),
        ({"NOISE": "1", "DELTA": "1"}, "PRIVACY_DELTA: expected a number between 0 and 1"),
        ({"BUDGET": "3"}, "PRIVACY_BUDGET: expected noise to go with it, found none"),
        ({"SAFE_NOISE": "1"}, "PRIVACY_SAFE_NOISE: expected noise to go with it, found none"),
        ({"SAFE_NOISE": "yes"}, "PRIVACY_SAFE_NOISE: expected 0 or 1, found 'yes'"),
    ],
)
def test_what_a_site_sets_wrong_is_refused_by_name(own: dict[str, str], expected: str) -> None:
    environment = {f"PRIVACY_{name}": value for name, value in own.items()}
    with pytest.raises(PackageError, match=expected):
        Terms.agreed(BaseSettings(), environment)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"noise": -1.0}, "setting 'noise': expected 0 or more, found -1.0"),
        ({"noise": math.inf}, "setting 'noise': expected 0 or more, found inf"),
        ({"noise": math.nan}, "setting 'noise': expected 0 or more, found nan"),
        ({"clip": 0}, "setting 'clip': expected a number above 0, found 0.0"),
        ({"clip": 10**400}, "setting 'clip': expected a finite number, found inf"),
        ({"budget": math.inf}, "setting 'budget': expected a finite number, found inf"),
        ({"budget": math.nan}, "setting 'budget': expected a number above 0, found nan"),
        ({"delta": 1}, "setting 'delta': expected below 1, found 1.0"),
        ({"delta": 0}, "setting 'delta': expected a number above 0, found 0.0"),
    ],
)
def test_what_the_server_sends_wrong_is_refused_by_name(
    sent: dict[str, Any], expected: str
) -> None:
    with pytest.raises(PackageError, match=expected):
        BaseSettings.override(sent)
