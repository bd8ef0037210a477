"""Where noise comes from, and what OpenDP promises of its own: the loss, the clip and the grid."""

import math
import sys
from fractions import Fraction
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

from fednsite.data.examples import Array
from fednsite.errors import PackageError
from fednsite.privacy.mechanism import Terms, noised
from fednsite.privacy.noise import (
    FLOATING_POINT,
    GRID_BITS,
    MAX_SAFE_NUMBERS,
    OPENDP,
    add_floating_point_noise,
    choose_source,
    gaussian_measurement,
    in_units_of_clip,
)

with_opendp = pytest.mark.skipif(find_spec("opendp") is None, reason="opendp is not installed")
# How long a change in units of the clip is at the most, with all rounding of floats.
LENGTH = 1 - 2.0**-31
# Standard errors that a measured figure may be off: by chance, once in 500 million tests.
SIGMAS = 6
DEMANDED = {"PRIVACY_SAFE_NOISE": "1"}


@with_opendp
def test_the_noise_is_opendps_for_models_of_up_to_the_limit() -> None:
    for environment in ({}, {"PRIVACY_SAFE_NOISE": ""}, {"PRIVACY_SAFE_NOISE": "0"}, DEMANDED):
        assert choose_source(MAX_SAFE_NUMBERS, environment) is OPENDP
    assert choose_source(MAX_SAFE_NUMBERS + 1, {}) is FLOATING_POINT


def test_a_model_above_the_limit_is_an_error_where_safe_noise_is_demanded() -> None:
    with pytest.raises(PackageError, match=r"found: a model of 100,001 numbers, above OpenDP's"):
        choose_source(MAX_SAFE_NUMBERS + 1, DEMANDED)


def test_without_opendp_the_noise_is_drawn_in_floating_point_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opendp", None)
    assert choose_source(10, {}) is FLOATING_POINT
    with pytest.raises(PackageError, match=r"expected OpenDP's noise, found: .*opendp.*; nothing"):
        choose_source(10, DEMANDED)


@with_opendp
@pytest.mark.parametrize("size", [1, 7850, MAX_SAFE_NUMBERS])
@pytest.mark.parametrize("noise", [1e-150, 1e-3, 0.3, 1.0, 1.7, 4.0, 1e3, 1e100])
def test_opendp_itself_states_no_more_loss_than_the_ledger_counts(noise: float, size: int) -> None:
    # Zero-concentrated differential privacy. A Gaussian mechanism has rho = 1 / (2 noise^2).
    # OpenDP's figure includes the rounding to its grid.
    rho = Fraction(gaussian_measurement(noise, size).map(LENGTH))
    assert rho <= 1 / (2 * Fraction(noise) ** 2)
    assert float(rho) == pytest.approx(1 / (2 * noise * noise), rel=1e-8)


@pytest.mark.parametrize("clip", [1.0, 0.3, 1e-300, 5e-324, 1e300])
def test_no_change_is_longer_than_the_clip_not_even_by_rounding(clip: float) -> None:
    random = np.random.default_rng(0)
    for size in (1, 2, 1000, 20_000):
        for scale in (1e-200, 1e-3, 1 / math.sqrt(size), 1.0, 1e5):
            with np.errstate(over="ignore", invalid="ignore"):
                unit = in_units_of_clip(random.normal(0, scale, size) * clip, clip)
            exact = sum(Fraction(number) ** 2 for number in unit.tolist())
            assert exact <= Fraction(LENGTH) ** 2, (size, scale)


def test_a_short_change_keeps_its_length() -> None:
    change = np.array([0.3, -0.4])
    assert in_units_of_clip(change, 2.0) == pytest.approx(change / 2, rel=1e-8)
    assert in_units_of_clip(change, 0.1) == pytest.approx([0.6, -0.8], rel=1e-8)


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan])
def test_a_change_that_is_not_finite_leaves_as_noise_alone(odd: float) -> None:
    assert in_units_of_clip(np.array([1.0, odd]), 1.0).tolist() == [0.0, 0.0]


@with_opendp
@pytest.mark.parametrize(("noise", "clip"), [(1.5, 0.4), (0.1, 1.0), (30.0, 2.0)])
def test_opendps_noise_is_normal_and_as_strong_as_it_is_said_to_be(
    noise: float, clip: float
) -> None:
    count = 20_000
    sent = OPENDP.add(np.zeros(count), noise, clip) / (noise * clip)
    # The moments of a normal number and their standard errors: 1/n, 2/n, 15/n, 96/n.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = float(np.mean(sent**power)) - moment
        assert abs(error) < SIGMAS * math.sqrt(variance / count), power


@with_opendp
def test_all_numbers_leave_on_one_grid_and_keep_the_change() -> None:
    change = np.random.default_rng(0).normal(0, 1, 1000)
    change /= np.linalg.norm(change)
    # Floats near 0 are finer than the grid.
    change[::2] = 0
    noise = 2.0**-20
    sent = OPENDP.add(change, noise, 1.0)
    assert (sent * 2.0**20 * 2.0**GRID_BITS % 1 == 0).all()
    assert np.abs(sent - change).max() < 2 * SIGMAS * noise


@with_opendp
def test_an_update_is_clipped_and_noised_by_opendp_too() -> None:
    received = [np.zeros((20, 10), np.float32), np.array([4, 5]), np.ones(10, np.float32)]
    trained = [array + 5 for array in received]
    sent = noised(received, trained, Terms(1e-6, 2.0, 1.0, 1e-5), OPENDP.add)
    assert [array.dtype for array in sent] == [array.dtype for array in received]
    assert sent[1].tolist() == [4, 5]
    change = np.concatenate([sent[0].ravel(), sent[2] - 1]).astype(np.float64)
    assert np.linalg.norm(change) == pytest.approx(2.0, rel=1e-4)


def test_a_simulation_adds_its_own_draw_bit_for_bit() -> None:
    terms = Terms(1.5, 0.4, 8.0, 1e-5)
    random = np.random.default_rng(3)
    received = [random.normal(size=shape).astype(np.float32) for shape in ((8, 5), (5,))]
    trained = [array + np.float32(0.5) for array in received]
    draw = np.random.default_rng(4).standard_normal
    found = noised(received, trained, terms, partial(add_floating_point_noise, draw=draw))
    drawn = np.split(np.random.default_rng(4).standard_normal(45) * (1.5 * 0.4), [40])
    changes: list[Array] = [
        after.astype(np.float64) - before for before, after in zip(received, trained, strict=True)
    ]
    shrink = 0.4 / math.sqrt(math.fsum(float(np.square(change).sum()) for change in changes))
    for before, change, noise, sent in zip(received, changes, drawn, found, strict=True):
        expected = before + (change * shrink + noise.reshape(before.shape))
        assert np.array_equal(sent, expected.astype(np.float32))
