"""Combine the updates of a round: which are rejected, clipped or passed over, and the next model.

The simulation, the embedded network and FEDn's server functions all use this file. It is sent to
the latter after updates.py and robust.py, so it imports NumPy and the standard library alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .robust import Weights, clip, combine
from .updates import is_exhausted, is_finite, rejection

__all__ = ["Arrived", "admit", "combine_round", "defend"]

TOO_LARGE = "the updates' numbers are too large to combine"

# An update and what came with it, by the client's name or number.
Arrived = dict[Any, tuple[Weights, dict[str, Any]]]


# Finite numbers may be so large that no sum of them is: that is told, and needs no warning.
@np.errstate(all="ignore")
def combine_round(
    received: Weights,
    arrived: Arrived,
    defence: dict[str, Any] | None,
    average: Callable[[Arrived], Weights | None],
) -> tuple[Weights | None, dict[str, Any]]:
    """Return the next global model, and what became of each client's update: the outcome.

    received, arrived, and the outcome: see `admit` and `defend`. defence: the settings of
    `defend`; None means that `average` combines what is admitted. The model is None when there is
    no update to make one of.
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
    """Return whose updates count, and the round's outcome so far.

    received: the global model that the updates started from. arrived: in an order that the caller
    keeps the same, because it counts in a sum's last bit.
    The outcome has `refused`, the cause by name; `exhausted`, the names whose privacy budget is
    spent and whose update, a copy of the model, is left out; and `stays`, why the model stays as
    it is, where it does. Only what is not empty is in it.
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
    """Return the next global model and what to add to the round's outcome.

    settings: `aggregator`, `norm_bound` (None for none) and `tolerate`, as in robust.py.
    refused: how many updates were.
    The outcome's `clipped` are the names whose update was shortened, `passed_over` those that
    the rule did not choose, `stays` is why the model is the one received: too few updates.
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
