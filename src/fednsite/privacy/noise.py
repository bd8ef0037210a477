"""The Gaussian noise of an update: from OpenDP where the site has it, else in floating point.

Floating-point noise can leak what it hides: not every float64 is a possible sum of a given number
and noise, so the last bits of the sum may show which number it was (Mironov, "On Significance of
the Least Significant Bits For Differential Privacy", 2012). OpenDP rounds the change to a grid and
draws noise on that grid, exactly (Canonne, Kamath and Steinke, "The Discrete Gaussian for
Differential Privacy", 2020). It takes too long for a large model: see `MAX_SAFE_NUMBERS`.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.examples import Array
from ..errors import PackageError

__all__ = [
    "FLOATING_POINT",
    "MAX_SAFE_NUMBERS",
    "OPENDP",
    "SAFE_NOISE",
    "NoiseSource",
    "add_floating_point_noise",
    "choose_source",
    "demands_safe_noise",
    "gaussian_measurement",
    "in_units_of_clip",
    "secure_normal",
]

# "1" where a site sends no update whose noise is not safe in floating point.
SAFE_NOISE = "PRIVACY_SAFE_NOISE"
# OpenDP takes 15 microseconds of processor time for a number, so 1.5 seconds for so many.
MAX_SAFE_NUMBERS = 100_000
# A standard deviation is at least 2^52 steps of the grid. Then all noise of an update is the
# rounded continuous Gaussian, whose epsilon accounting.py computes, but for a chance of 1e-27.
GRID_BITS = 52
# Longest change in units of the clip. It leaves room for two kinds of rounding: that of floats, by
# which the length may be off by 2e-11, and that to the grid, which adds at most 1e-13.
LONGEST_CHANGE = 1 - 2.0**-30
# How many are drawn at a time, to bound the memory.
NUMBERS_AT_A_TIME = 1 << 18

# Takes a clipped change, float64, shape (size,), the noise multiplier and the clip. Returns the
# change with noise on each number, of the standard deviation noise * clip.
AddNoise = Callable[[Array, float, float], Array]


@dataclass(frozen=True)
class NoiseSource:
    """Where noise comes from.

    Attributes:
        name: As in an update's metadata.
        is_safe: Whether what a number may become does not depend on that number.
        add: The function that adds the noise.
    """

    name: str
    is_safe: bool
    add: AddNoise


def choose_source(size: int, environment: Mapping[str, str]) -> NoiseSource:
    """Return OpenDP where it is installed and the model is small enough; else floating point.

    Args:
        size: How many numbers the model has.
        environment: The site's variables.

    Raises:
        PackageError: The site demands safe noise, and this is impossible.
    """
    unsafe = ""
    if size > MAX_SAFE_NUMBERS:
        unsafe = f"a model of {size:,} numbers, above OpenDP's limit here of {MAX_SAFE_NUMBERS:,}"
    else:
        try:
            gaussian_measurement(1.0, max(size, 1))
        # OpenDP raises plain exceptions where its library does not load; another version, any.
        except Exception as error:
            unsafe = str(error)
    if not unsafe:
        return OPENDP
    if demands_safe_noise(environment):
        raise PackageError(
            f"{SAFE_NOISE}: expected OpenDP's noise, found: {unsafe}; nothing was sent; see "
            f"`fednkit docs privacy`, or unset {SAFE_NOISE}"
        )
    return FLOATING_POINT


def demands_safe_noise(environment: Mapping[str, str]) -> bool:
    """Tell whether the site sends nothing whose noise is not safe in floating point."""
    text = environment.get(SAFE_NOISE) or "0"
    if text not in ("0", "1"):
        raise PackageError(f"{SAFE_NOISE}: expected 0 or 1, found '{text}'")
    return text == "1"


def secure_normal(size: int) -> Array:
    """Draw standard normal numbers, float64, shape (size,), from the system's random source.

    By Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958. Each is half the
    sum of four, so that its last bits do not give away how it was made: Holohan and Braghin,
    "Secure Random Sampling in Differential Privacy", 2021.
    """
    drawn = np.empty(size)
    for start in range(0, size, NUMBERS_AT_A_TIME):
        count = min(NUMBERS_AT_A_TIME, size - start)
        bits = np.frombuffer(os.urandom(32 * count), np.uint64).reshape(2, 2, count)
        # The upper 53 bits, all that a float64 holds of a number from 0 to 1.
        radius, turn = (bits >> np.uint64(11)) * 2.0**-53
        angle = 2 * np.pi * turn
        pairs = np.sqrt(-2 * np.log1p(-radius)) * (np.cos(angle) + np.sin(angle))
        drawn[start : start + count] = pairs.sum(axis=0) / 2
    return drawn


def add_floating_point_noise(
    change: Array, noise: float, clip: float, draw: Callable[[int], Array] = secure_normal
) -> Array:
    """Add noise that is drawn and added in floating point. No proof covers its last bits.

    draw: returns so many standard normal numbers; a simulation, which protects nobody, repeats.
    """
    return change + draw(change.size) * (noise * clip)


def add_opendp_noise(change: Array, noise: float, clip: float) -> Array:
    """Add noise by OpenDP. The change goes through its mechanism, which is what the proof covers.

    It works in units of the clip, so that the scale is the noise multiplier, without rounding.
    """
    unit = in_units_of_clip(change, clip)
    return np.array(gaussian_measurement(noise, unit.size)(unit.tolist())) * clip


def in_units_of_clip(change: Array, clip: float) -> Array:
    """Return a change over the clip, certainly no longer than 1 after OpenDP rounded it.

    Clips again, because the length that `noised` computes may be off for extreme numbers.
    """
    unit = change / clip
    length = float(np.linalg.norm(unit))
    if not length < math.inf:
        return np.zeros_like(unit)
    shortened: Array = unit * (LONGEST_CHANGE / max(1.0, length))
    return shortened


def gaussian_measurement(noise: float, size: int) -> Any:
    """Return OpenDP's Gaussian mechanism for vectors of `size` numbers, in units of the clip."""
    domains, measurements, metrics = _opendp()
    # The grid's step is 2^exponent: its default, 2^-1074, takes five times as long.
    exponent = math.frexp(min(noise, 1.0))[1] - 1 - GRID_BITS
    numbers = domains.vector_domain(domains.atom_domain(T="f64", nan=False), size=size)
    distance = metrics.l2_distance(T="f64")
    return measurements.make_gaussian(numbers, distance, scale=noise, k=exponent)


def _opendp() -> tuple[Any, Any, Any]:
    # Not its prelude, which takes ten times as long.
    from opendp import domains, measurements, metrics
    from opendp.mod import enable_features

    enable_features("contrib")
    return domains, measurements, metrics


FLOATING_POINT = NoiseSource("floating point", False, add_floating_point_noise)
OPENDP = NoiseSource("opendp", True, add_opendp_noise)
