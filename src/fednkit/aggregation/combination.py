"""Reject bad updates of a round, apply the defence, and return the next global model.

The simulation, the embedded network and FEDn's server functions all use this file. It is sent to
the latter after updates.py and robust.py, so it imports only NumPy and the standard library.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .robust import Weights, clip, combine
from .updates import is_exhausted, is_finite, rejection

__all__ = ["Arrived", "admit", "combine_round", "defend"]

TOO_LARGE = "the updates' numbers are too large to combine"

# Each client's update and its metadata, by the client's name or number.
Arrived = dict[Any, tuple[Weights, dict[str, Any]]]


# Sums of large finite numbers may overflow. The outcome reports this; no warning is needed.
@np.errstate(all="ignore")
def combine_round(
    received: Weights,
    arrived: Arrived,
    defence: dict[str, Any] | None,
    average: Callable[[Arrived], Weights | None],
) -> tuple[Weights | None, dict[str, Any]]:
    """Return the next global model and the round's outcome.

    Args:
        received: The global model that the updates started from.
        arrived: The updates; see `admit`.
        defence: The settings of `defend`, or None to combine with `average`.
        average: Combines the admitted updates if there is no defence.

    Returns:
        The model, or None if there is no update to combine; and the outcome, with the entries of
        `admit` and `defend`.
    """
    names, outcome = admit(received, arrived)
    if not names:
        return (received if "stays" in outcome else None), outcome
    admitted = {name: arrived[name] for name in names}
    if defence:
        refused = len(outcome.get("refused", ()))
        model, more = defend(received, admitted, defence, refused)
        return model, outcome | more
    averaged = average(admitted)
    if averaged is None or not is_finite(averaged):
        return received, outcome | {"stays": TOO_LARGE}
    return averaged, outcome


def admit(received: Weights, arrived: Arrived) -> tuple[list[Any], dict[str, Any]]:
    """Return the clients whose updates count, and the round's outcome so far.

    Args:
        received: The global model that the updates started from.
        arrived: The updates. Their order must be repeatable, because it affects the last bit of a
            sum.

    Returns:
        The names of the admitted clients; and the outcome, without empty entries: `refused`, the
        cause of each rejection by client; `exhausted`, the clients whose privacy budget is spent,
        so that their update is a copy of the model and is ignored; `stays`, why the model does
        not change.
    """
    refused, exhausted, admitted = {}, [], []
    for name, (weights, metadata) in arrived.items():
        if why := rejection(weights, metadata, received):
            refused[name] = why
        elif is_exhausted(metadata):
            exhausted.append(name)
        else:
            admitted.append(name)
    outcome: dict[str, Any] = {"refused": refused, "exhausted": exhausted}
    if exhausted and not admitted:
        outcome["stays"] = "the privacy budget of every site is spent"
    return admitted, {name: value for name, value in outcome.items() if value}


def defend(
    received: Weights, admitted: Arrived, settings: dict[str, Any], refused: int
) -> tuple[Weights, dict[str, Any]]:
    """Combine the admitted updates with a defence.

    Args:
        received: The global model that the updates started from.
        admitted: The updates that were not rejected.
        settings: `aggregator`, `norm_bound` (None for no bound) and `tolerate`; see robust.py.
        refused: The number of rejected updates.

    Returns:
        The next global model; and entries of the outcome: `clipped`, the clients whose updates
        were shortened; `passed_over`, those that the rule did not choose; `stays`, why the model
        does not change.
    """
    updates = [weights for weights, _ in admitted.values()]
    examples = [metadata["num_examples"] for _, metadata in admitted.values()]
    clipped = []
    if settings["norm_bound"] is not None:
        pairs = [clip(update, received, settings["norm_bound"]) for update in updates]
        updates = [update for update, _ in pairs]
        clipped = [name for name, (_, changed) in zip(admitted, pairs, strict=True) if changed]
    try:
        rule, tolerate = settings["aggregator"], settings["tolerate"]
        model, chosen = combine(rule, updates, examples, tolerate, refused)
    except ValueError as error:
        return received, {"stays": str(error)}
    if not is_finite(model):
        return received, {"stays": TOO_LARGE}
    passed = [name for position, name in enumerate(admitted) if position not in chosen]
    outcome = {"clipped": clipped, "passed_over": passed}
    return model, {name: value for name, value in outcome.items() if value}
