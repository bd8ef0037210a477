"""What noised updates add up to: exact epsilon of Gaussian mechanisms, one after the other.

An update with the noise multiplier z is Gaussian differential privacy of mu = 1 / z, and several,
chosen one after the other in view of those before, of mu = sqrt(sum of 1 / z^2): Dong, Roth and Su,
"Gaussian Differential Privacy", 2019, corollary 3.3; that one may stop by it, as a ledger does:
Smith and Thakurta, "Fully Adaptive Composition for Gaussian Differential Privacy", 2022.
"""

import math
from collections.abc import Mapping

__all__ = ["epsilon", "gaussian_delta", "gaussian_epsilon"]


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
