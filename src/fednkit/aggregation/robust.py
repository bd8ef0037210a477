"""Ways to combine updates of which some come from broken or hostile clients.

Pure functions over lists of updates; an update is a list of arrays, the same shapes in each.
Nothing a client says about itself counts here, but in `mean`, which weighs by examples. This file
is also sent to FEDn's server functions, so it imports NumPy and the standard library alone.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "ROBUST",
    "Weights",
    "bad_clients",
    "clip",
    "combine",
    "krum_order",
    "mean",
    "median",
    "needed",
    "trimmed_mean",
]

Weights = list[npt.NDArray[Any]]

# The rules that stand against bad clients.
ROBUST = ("median", "trimmed-mean", "krum", "multi-krum")


def bad_clients(updates: int, tolerate: float) -> int:
    """Return how many bad ones among so many updates are to be tolerated.

    tolerate: their number, 1 or more; or below 1 their share, rounded up.
    """
    return int(tolerate) if tolerate >= 1 else math.ceil(tolerate * updates - 1e-9)


def needed(rule: str, bad: int) -> int:
    """Return how many updates a rule needs to tolerate so many bad ones."""
    return {"trimmed-mean": 2 * bad + 1, "krum": 2 * bad + 3, "multi-krum": 2 * bad + 3}.get(
        rule, 1
    )


def mean(updates: list[Weights], examples: list[int]) -> Weights:
    """Return the mean weighted by examples.

    McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    2017, algorithm 1. Summed up as FEDn's fedavg does it, so that both agree to the last bit. A
    single bad client can move it anywhere.
    """
    combined, total = updates[0], examples[0]
    for update, number in zip(updates[1:], examples[1:], strict=True):
        total += number
        combined = [x + number * (y - x) / total for x, y in zip(combined, update, strict=True)]
    return [np.asarray(array) for array in combined]


def median(updates: list[Weights]) -> Weights:
    """Return the coordinate-wise median, which stands while fewer than half of all are bad.

    Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", 2018,
    definition 1.
    """
    return _each(updates, lambda stacked: np.median(stacked, axis=0))


def trimmed_mean(updates: list[Weights], trim: int) -> Weights:
    """Return the coordinate-wise mean without the `trim` lowest and the `trim` highest values.

    It stands against as many bad ones: Yin et al., 2018, definition 2. Raises `ValueError` unless
    there are more than twice as many updates as `trim`.
    """
    if not 0 <= 2 * trim < len(updates):
        raise ValueError(f"expected more than {2 * trim} updates, found {len(updates)}")
    rows = slice(trim, len(updates) - trim)
    # In float64 and sorted: who came first does not count.
    return _each(updates, lambda stacked: np.sort(stacked, axis=0)[rows].mean(0, dtype=np.float64))


def krum_order(updates: list[Weights], bad: int) -> list[int]:
    """Return the updates' positions by the scores of Krum, the nearest to its neighbours first.

    Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent",
    2017. A score is the sum of squared distances to the n - bad - 2 nearest others; all of them
    take time by the square of n. Raises `ValueError` unless n is 2 * bad + 3 or more.
    """
    number = len(updates)
    if bad < 0 or number < 2 * bad + 3:
        raise ValueError(f"expected {2 * bad + 3} updates or more, found {number}")
    distances = np.zeros((number, number))
    for one in range(number):
        for other in range(one):
            distances[one, other] = distances[other, one] = sum(
                float(np.square(x.astype(np.float64) - y).sum())
                for x, y in zip(updates[one], updates[other], strict=True)
            )
    # The nearest of all is the update itself, at 0.
    nearest = np.sort(distances, axis=1)[:, 1 : number - bad - 1]
    return [int(position) for position in np.argsort(nearest.sum(axis=1), kind="stable")]


def clip(update: Weights, received: Weights, bound: float) -> tuple[Weights, bool]:
    """Return an update no further than `bound` from what was received; whether it was shortened.

    Sun et al., "Can You Really Backdoor Federated Learning?", 2019, norm thresholding of updates.
    bound: of the Euclidean norm of the difference, over all arrays together.
    """
    changes = [x.astype(np.float64) - y for x, y in zip(update, received, strict=True)]
    # Scaled down first: squares of float32's largest numbers are too large even here.
    largest = max((float(np.abs(change).max(initial=0.0)) for change in changes), default=0.0)
    if largest == 0.0:
        return update, False
    norm = largest * math.sqrt(sum(float(np.square(c / largest).sum()) for c in changes))
    if norm <= bound:
        return update, False
    shortened = [
        (y + change * (bound / norm)).astype(x.dtype)
        for x, y, change in zip(update, received, changes, strict=True)
    ]
    return shortened, True


def combine(
    rule: str, updates: list[Weights], examples: list[int], tolerate: float, refused: int = 0
) -> tuple[Weights, list[int]]:
    """Return the next global model by a rule, and the positions of the updates it is made of.

    rule: `fedavg` or one of `ROBUST`. tolerate: see `bad_clients`. refused: how many bad ones have
    been found out, and are not among the updates.
    Raises `ValueError` when there are too few updates to tolerate so many bad ones.
    """
    everybody = list(range(len(updates)))
    bad = bad_clients(len(updates) + refused, tolerate)
    # Those that were found out need not be tolerated any more, where that would be too many.
    for _ in range(refused):
        if bad and len(updates) < needed(rule, bad):
            bad -= 1
    if len(updates) < needed(rule, bad):
        raise ValueError(
            f"{rule} needs {needed(rule, bad)} updates to tolerate {bad} bad ones, "
            f"found {len(updates)}"
        )
    if rule == "median":
        return median(updates), everybody
    if rule == "trimmed-mean":
        return trimmed_mean(updates, bad), everybody
    if rule in ("krum", "multi-krum"):
        # Multi-Krum, of the same paper: the mean of the n - bad best. Not weighed, because the
        # number of its examples is what a client says.
        chosen = sorted(krum_order(updates, bad)[: 1 if rule == "krum" else len(updates) - bad])
        return mean([updates[position] for position in chosen], [1] * len(chosen)), chosen
    return mean(updates, examples), everybody


def _each(
    updates: list[Weights], combined: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> Weights:
    """Combine array by array, keeping dtypes; one array of all updates is stacked at a time."""
    return [
        np.asarray(combined(np.stack(arrays))).astype(arrays[0].dtype)
        for arrays in zip(*updates, strict=True)
    ]
