"""Combine updates when some clients may be broken or hostile.

Pure functions over lists of updates; an update is a list of arrays, the same shapes in each.
Only `mean` uses a number that clients report, their examples. This file is also sent to FEDn's
server functions, so it imports only NumPy and the standard library.
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

# The rules that tolerate bad clients.
ROBUST = ("median", "trimmed-mean", "krum", "multi-krum")


def bad_clients(updates: int, tolerate: float) -> int:
    """Return the number of bad clients to tolerate.

    Args:
        updates: The number of updates.
        tolerate: The number of bad clients if 1 or more; below 1, their share, rounded up.
    """
    return int(tolerate) if tolerate >= 1 else math.ceil(tolerate * updates - 1e-9)


def needed(rule: str, bad: int) -> int:
    """Return the number of updates that a rule needs to tolerate `bad` bad ones."""
    return {"trimmed-mean": 2 * bad + 1, "krum": 2 * bad + 3, "multi-krum": 2 * bad + 3}.get(
        rule, 1
    )


def mean(updates: list[Weights], examples: list[int]) -> Weights:
    """Return the mean weighted by examples.

    A single bad client can move it anywhere. The order of operations is that of FEDn's fedavg, so
    that both agree to the last bit.
    Source: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
    Data", 2017, algorithm 1.
    """
    combined, total = updates[0], examples[0]
    for update, number in zip(updates[1:], examples[1:], strict=True):
        total += number
        combined = [x + number * (y - x) / total for x, y in zip(combined, update, strict=True)]
    return [np.asarray(array) for array in combined]


def median(updates: list[Weights]) -> Weights:
    """Return the coordinate-wise median, which tolerates fewer than half bad updates.

    Source: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates",
    2018, definition 1.
    """
    return _each(updates, lambda stacked: np.median(stacked, axis=0))


def trimmed_mean(updates: list[Weights], trim: int) -> Weights:
    """Return the coordinate-wise mean without the `trim` lowest and the `trim` highest values.

    It tolerates up to `trim` bad updates. Source: Yin et al., 2018, definition 2.

    Raises:
        ValueError: There are not more than 2 * `trim` updates.
    """
    if not 0 <= 2 * trim < len(updates):
        raise ValueError(f"expected more than {2 * trim} updates, found {len(updates)}")
    rows = slice(trim, len(updates) - trim)
    # Sorted and in float64, so that the order of the updates does not matter.
    return _each(updates, lambda stacked: np.sort(stacked, axis=0)[rows].mean(0, dtype=np.float64))


def krum_order(updates: list[Weights], bad: int) -> list[int]:
    """Return the positions of the n updates by their Krum score, lowest first.

    The score is the sum of squared distances to the n - bad - 2 nearest other updates. All scores
    take time quadratic in n.
    Source: Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient
    Descent", 2017.

    Raises:
        ValueError: n is less than 2 * `bad` + 3.
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
    # Skip the first: an update's distance to itself is 0.
    nearest = np.sort(distances, axis=1)[:, 1 : number - bad - 1]
    return [int(position) for position in np.argsort(nearest.sum(axis=1), kind="stable")]


def clip(update: Weights, received: Weights, bound: float) -> tuple[Weights, bool]:
    """Shorten an update's difference from the received model to the norm `bound`.

    Source: Sun et al., "Can You Really Backdoor Federated Learning?", 2019, norm thresholding.

    Args:
        update: The update.
        received: The global model that it started from.
        bound: The largest Euclidean norm of the difference, over all arrays together.

    Returns:
        The update, and whether it was shortened.
    """
    changes = [x.astype(np.float64) - y for x, y in zip(update, received, strict=True)]
    # Scaled first, because squares of large numbers overflow.
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
    """Combine updates by a rule.

    Args:
        rule: `fedavg` or one of `ROBUST`.
        updates: The updates.
        examples: The number of examples of each update.
        tolerate: See `bad_clients`.
        refused: The number of bad updates that have already been rejected.

    Returns:
        The next global model, and the positions of the updates that it consists of.

    Raises:
        ValueError: There are too few updates to tolerate the bad ones.
    """
    everybody = list(range(len(updates)))
    bad = bad_clients(len(updates) + refused, tolerate)
    # If there are too few updates, rejected ones count as bad clients that were already removed.
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
        # Multi-Krum (same paper): the mean of the n - bad best updates. Unweighted, because a bad
        # client may report any number of examples.
        chosen = sorted(krum_order(updates, bad)[: 1 if rule == "krum" else len(updates) - bad])
        return mean([updates[position] for position in chosen], [1] * len(chosen)), chosen
    return mean(updates, examples), everybody


def _each(
    updates: list[Weights], combined: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> Weights:
    """Combine the updates array by array, to save memory; keep the dtypes."""
    return [
        np.asarray(combined(np.stack(arrays))).astype(arrays[0].dtype)
        for arrays in zip(*updates, strict=True)
    ]
