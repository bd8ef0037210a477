"""Differential privacy: clip and noise a site's update before it leaves the site.

This protects all information about the site's training examples in an update. Every update is the
output of a Gaussian mechanism: the change of the weights, clipped to the L2 norm `clip`, plus noise
with the standard deviation `noise * clip` on every number. The neighbouring inputs are a site's
update and no update (a change of zero). Epsilon and delta bound how well an observer of all updates
can tell the two apart. The updates from two data sets of one site, for example with and without one
person, can differ by twice `clip`; the epsilon for telling these apart is that of half the noise.

The number of examples, metrics and predictions are not protected. The mechanism works on weights,
so it is the same for every framework. accounting.py computes the epsilon of several updates.
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

# Variables of a site's own limits. The server can require stricter ones, but not weaker ones.
NOISE, CLIP = "PRIVACY_NOISE", "PRIVACY_CLIP"
BUDGET, DELTA = "PRIVACY_BUDGET", "PRIVACY_DELTA"


@dataclass(frozen=True)
class Terms:
    """The terms under which an update leaves the site.

    Attributes:
        noise: The noise multiplier: the standard deviation in units of `clip`.
        clip: The maximum L2 norm of the change of all weights together.
        budget: The maximum epsilon, at `delta`, of all updates together.
        delta: The probability that the guarantee of epsilon fails.
    """

    noise: float
    clip: float
    budget: float
    delta: float

    @classmethod
    def agreed(cls, settings: BaseSettings, environment: Mapping[str, str]) -> "Terms | None":
        """Return the stricter value of the server and the site for each term; None without noise.

        Args:
            settings: The server's settings.
            environment: The site's environment variables.

        Raises:
            PackageError: A variable of the site is not a valid number, or the site sets a limit
                although neither side asks for noise.
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
        """Return whether one more update is within the budget.

        Args:
            updates: The number of updates so far, by noise multiplier.
        """
        more = {**updates, self.noise: updates.get(self.noise, 0) + 1}
        return epsilon(more, self.delta) <= self.budget

    def statement(
        self, updates: Mapping[float, int], safe_updates: int, exhausted: bool
    ) -> dict[str, Any]:
        """Return an update's metadata on its privacy. They do not depend on the data.

        Args:
            updates: The number of updates so far, by noise multiplier.
            safe_updates: The number of updates whose noise is safe in floating point.
            exhausted: Whether the budget is spent.
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
    """Return the received weights plus the clipped and noised change of training.

    Source: McMahan et al., "Learning Differentially Private Recurrent Language Models", 2018,
    section 2 (flat clipping). Here, the noise is added at the site.

    Args:
        received: The weights before training. Integer arrays are returned unchanged.
        trained: The weights after training, with the same shapes and dtypes.
        terms: The noise multiplier and the clip.
        add_noise: Adds noise to the clipped change, which is one vector of all arrays.
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
        # Rounding reveals nothing more than the noised change; the server knows what was received.
        update = before + change.reshape(before.shape)
        sent.append(update.astype(before.dtype) if moves else before.copy())
    return sent
