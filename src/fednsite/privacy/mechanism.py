"""Differential privacy: a site's update is clipped and noised before it leaves.

It protects everything that the site's training examples put into an update. Every update is the
Gaussian mechanism: the change of the weights, at most `clip` long, plus noise with the standard
deviation `noise * clip` on every number of it. Neighbours, in the field's terms, are the site with
its update and the site with none (a change of zero): whoever sees all updates can hardly tell the
two apart, by epsilon and delta. Two different data sets of one site, with and without one person
for example, may be twice as far apart: they have the epsilon of half the noise.

This covers neither the number of examples, nor metrics, nor predictions. It works on weights, so
it is the same for every framework. For what updates add up to, see accounting.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.examples import Array
from ..errors import PackageError
from ..settings import BaseSettings
from .accounting import epsilon
from .noise import SAFE_NOISE, AddNoise, add_floating_point_noise, demands_safe_noise

__all__ = ["Terms", "noised"]

# What a site sets for itself. The server may ask for more, and never for less.
NOISE, CLIP = "PRIVACY_NOISE", "PRIVACY_CLIP"
BUDGET, DELTA = "PRIVACY_BUDGET", "PRIVACY_DELTA"


@dataclass(frozen=True)
class Terms:
    """The terms under which an update leaves the site.

    Attributes:
        noise: The noise multiplier: its standard deviation in units of `clip`.
        clip: The longest change of the weights, L2 norm over all arrays together.
        budget: The epsilon, at `delta`, of all updates together.
        delta: The probability with which that epsilon does not hold.
    """

    noise: float
    clip: float
    budget: float
    delta: float

    @classmethod
    def agreed(cls, settings: BaseSettings, environment: Mapping[str, str]) -> "Terms | None":
        """Return the stricter of what the server asks for and what the site sets, one by one.

        Returns None where neither asks for noise. Raises `PackageError` where a variable of the
        site is no such number, or where it bounds what cannot be without noise.
        """
        own = {name: _own(environment, name) for name in (NOISE, CLIP, BUDGET, DELTA)}
        noise = max(settings.noise, own[NOISE] or 0.0)
        needing = [name for name in (CLIP, BUDGET, DELTA) if own[name] is not None]
        if demands_safe_noise(environment):
            needing.append(SAFE_NOISE)
        if not noise:
            if needing:
                raise PackageError(
                    f"{needing[0]}: expected noise to go with it, found none in the settings of "
                    f"the server nor in {NOISE}; nothing was sent; set {NOISE}=1, say, too"
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

    def statement(
        self, updates: Mapping[float, int], safe_updates: int, exhausted: bool
    ) -> dict[str, Any]:
        """Return what an update's metadata state of its privacy: nothing that depends on data.

        safe_updates: how many of the updates have noise that is safe in floating point.
        """
        return {
            "noise": self.noise,
            "clip": self.clip,
            "budget": self.budget,
            "delta": self.delta,
            "epsilon": epsilon(updates, self.delta),
            "updates": sum(updates.values()),
            "safe_updates": safe_updates,
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


def noised(
    received: Sequence[Array],
    trained: Sequence[Array],
    terms: Terms,
    add_noise: AddNoise = add_floating_point_noise,
) -> list[Array]:
    """Return the received weights plus the clipped and noised change that training made.

    received, trained: arrays of equal shapes and dtypes. Arrays of whole numbers stay as received.
    add_noise: adds the noise to the clipped change of all arrays, one after the other.
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
    clipped = np.concatenate([np.ravel(change * shrink) for change in changes])
    released = add_noise(clipped, terms.noise, terms.clip)
    ends = np.cumsum([change.size for change in changes])[:-1]
    sent = []
    for before, moves, change in zip(received, moved, np.split(released, ends), strict=True):
        # Rounding what was noised tells no more than it; what was received is known outside.
        update = before + change.reshape(before.shape)
        sent.append(update.astype(before.dtype) if moves else before.copy())
    return sent
