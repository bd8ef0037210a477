"""Differential privacy: a site's update is clipped and noised, and what it tells is counted.

What it protects is all that the site's training examples put into an update. Every update is the
Gaussian mechanism: the change of the weights, at most `clip` long, plus noise of the standard
deviation `noise * clip` on every number of it. Neighbours, in the words of the field, are the site
with its update and the site with none (a change of zero): whoever sees all that was sent can
hardly tell the two apart, by epsilon and delta. Two different data sets of one site, with and
without one person say, may be twice as far apart: for them it is the epsilon of half the noise.
It says nothing of what leaves the site by another way: the number of examples, metrics,
predictions. This works on weights, so that it is the same for every framework.

Updates add up. One of the multiplier z is Gaussian differential privacy of mu = 1 / z, and several,
chosen one after the other in view of those before, of mu = sqrt(sum of 1 / z^2): Dong, Roth and Su,
"Gaussian Differential Privacy", 2019, corollary 3.3; that one may stop by it, as a ledger does:
Smith and Thakurta, "Fully Adaptive Composition for Gaussian Differential Privacy", 2022.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dataset import Array
from .errors import PackageError
from .settings import Settings

# What a site sets for itself. The server may ask for more, and never for less.
NOISE, CLIP = "PRIVACY_NOISE", "PRIVACY_CLIP"
BUDGET, DELTA = "PRIVACY_BUDGET", "PRIVACY_DELTA"
# Numbers that are drawn at a time, to bound the memory.
CHUNK = 1 << 18


@dataclass(frozen=True)
class Terms:
    """What an update leaves the site under.

    noise: the multiplier, standard deviation in units of `clip`. clip: the longest change of the
    weights, L2, all arrays together. budget: the epsilon, at `delta`, of all updates together.
    """

    noise: float
    clip: float
    budget: float
    delta: float

    @classmethod
    def agreed(cls, settings: Settings, environment: Mapping[str, str]) -> "Terms | None":
        """Return the stricter of what the server asks for and what the site sets, one by one.

        Returns None where neither asks for noise. Raises `PackageError` where a variable of the
        site is no such number, or where it bounds what cannot be without noise.
        """
        own = {name: _own(environment, name) for name in (NOISE, CLIP, BUDGET, DELTA)}
        noise = max(settings.noise, own[NOISE] or 0.0)
        if not noise:
            for name in (CLIP, BUDGET, DELTA):
                if own[name] is not None:
                    raise PackageError(
                        f"{name}: expected noise to go with it, found none in the settings of the "
                        f"server nor in {NOISE}; nothing was sent; set {NOISE}=1, say, too"
                    )
            return None
        pairs = (
            (settings.clip, own[CLIP]),
            (settings.budget, own[BUDGET]),
            (settings.delta, own[DELTA]),
        )
        return cls(noise, *(asked if mine is None else min(asked, mine) for asked, mine in pairs))

    def allow(self, updates: Mapping[float, int]) -> bool:
        """Tell whether one more update is within the budget, after so many of each multiplier."""
        more = {**updates, self.noise: updates.get(self.noise, 0) + 1}
        return epsilon(more, self.delta) <= self.budget

    def told(self, updates: Mapping[float, int], exhausted: bool) -> dict[str, Any]:
        """Return what an update's metadata say of its privacy: nothing that the data decide."""
        return {
            "noise": self.noise,
            "clip": self.clip,
            "budget": self.budget,
            "delta": self.delta,
            "epsilon": epsilon(updates, self.delta),
            "updates": sum(updates.values()),
            "exhausted": exhausted,
        }


def _own(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name)
    if not text:
        return None
    expected = {NOISE: "of 0 or more", DELTA: "between 0 and 1"}.get(name, "above 0")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    below = value < 1 if name == DELTA else value < math.inf
    if not (below and (value >= 0 if name == NOISE else value > 0)):
        raise PackageError(f"{name}: expected a number {expected}, found '{text}'")
    return value


def secure_normal(size: int) -> Array:
    """Draw standard normal numbers, float64, shape (size,), from the system's random source.

    By Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958. Each is half the
    sum of four, so that its last bits do not give away how it was made: Holohan and Braghin,
    "Secure Random Sampling in Differential Privacy", 2021.
    """
    drawn = np.empty(size)
    for start in range(0, size, CHUNK):
        count = min(CHUNK, size - start)
        bits = np.frombuffer(os.urandom(32 * count), np.uint64).reshape(2, 2, count)
        # The upper 53 bits, all that a float64 holds of a number from 0 to 1.
        radius, turn = (bits >> np.uint64(11)) * 2.0**-53
        angle = 2 * np.pi * turn
        pairs = np.sqrt(-2 * np.log1p(-radius)) * (np.cos(angle) + np.sin(angle))
        drawn[start : start + count] = pairs.sum(axis=0) / 2
    return drawn


def noised(
    received: Sequence[Array],
    trained: Sequence[Array],
    terms: Terms,
    draw: Callable[[int], Array] = secure_normal,
) -> list[Array]:
    """Return the received weights plus the clipped and noised change that training made.

    received, trained: arrays of equal shapes and dtypes. Arrays of whole numbers stay as received.
    draw: returns so many standard normal numbers; a simulation, which protects nobody, repeats.
    Source: McMahan and others, "Learning Differentially Private Recurrent Language Models", 2018,
    section 2 (flat clipping); the noise is added here, before anything leaves.
    """
    moved = [np.issubdtype(array.dtype, np.floating) for array in received]
    changes = [
        after.astype(np.float64) - before if moves else np.zeros(before.shape)
        for before, after, moves in zip(received, trained, moved, strict=True)
    ]
    length = math.sqrt(math.fsum(float(np.square(change).sum()) for change in changes))
    shrink = min(1.0, terms.clip / length) if length else 1.0
    noise = draw(sum(change.size for change in changes)) * (terms.noise * terms.clip)
    ends = np.cumsum([change.size for change in changes])[:-1]
    sent = []
    for before, change, moves, added in zip(
        received, changes, moved, np.split(noise, ends), strict=True
    ):
        # Rounding what was noised tells no more than it; what was received is known outside.
        update = before + (change * shrink + added.reshape(change.shape))
        sent.append(update.astype(before.dtype) if moves else before.copy())
    return sent


def epsilon(updates: Mapping[float, int], delta: float) -> float:
    """Return the exact epsilon, at `delta`, of Gaussian mechanisms one after the other.

    updates: how many there were, by noise multiplier. Infinite where it is beyond all numbers.
    """
    return gaussian_epsilon(
        math.sqrt(sum(count / noise / noise for noise, count in updates.items())), delta
    )


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the least epsilon at which one Gaussian mechanism keeps (epsilon, delta).

    mu: its sensitivity in standard deviations of its noise.
    """
    if mu <= 0 or gaussian_delta(0.0, mu) <= delta:
        return 0.0
    # Enough, because a normal number is beyond x with a chance of less than exp(-x^2 / 2).
    low, high = 0.0, mu * mu / 2 + mu * math.sqrt(-2 * math.log(delta))
    if not high < math.inf:
        return math.inf
    while low < (middle := (low + high) / 2) < high:
        if gaussian_delta(middle, mu) <= delta:
            high = middle
        else:
            low = middle
    return high


def gaussian_delta(eps: float, mu: float) -> float:
    """Return the least delta at which one Gaussian mechanism keeps (eps, delta).

    Source: Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy: Analytical
    Calibration and Optimal Denoising", 2018, theorem 8: Phi(mu/2 - eps/mu) - exp(eps) Phi(-mu/2 -
    eps/mu). Both are the normal density at the first times Mills' ratios, of which neither one
    overflows; the difference of the plain terms would lose its digits.
    """
    near, far = eps / mu - mu / 2, eps / mu + mu / 2
    if near < -5:
        return math.erfc(near / math.sqrt(2)) / 2 - _density(near) * _mills(far)
    return _density(near) * (_mills(near) - _mills(far))


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _mills(x: float) -> float:
    """Return the chance to be above x over the density at x, of a standard normal number.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.12, where x is large.
    """
    if x < 25:
        return math.sqrt(math.pi / 2) * math.exp(x * x / 2) * math.erfc(x / math.sqrt(2))
    square = 1 / x / x
    return (1 - square * (1 - 3 * square * (1 - 5 * square * (1 - 7 * square)))) / x
