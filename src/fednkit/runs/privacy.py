"""What a simulation shows of differential privacy: what it promises, and what it costs."""

from typing import Any

from ._figures import BLUE, RED, Figure, axis
from .run import Run

__all__ = ["budget_used_up", "has_privacy", "spending", "words"]


def budget_used_up(sites: int, rounds: int) -> str:
    """Return why a session is over before its last round."""
    when = f"is used up after round {rounds}" if rounds else "leaves no room for an update"
    return f"the privacy budget of all {sites} sites {when}"


def has_privacy(one: Run) -> bool:
    """Tell whether the clients of a run sent noised updates."""
    return all("privacy" in record for record in (one.config, *one.lines[1:]))


def spending(one: Run) -> Figure:
    """Draw the epsilon of the client that spent most, over the rounds, and the budget."""
    values = [0.0, *(line["privacy"]["epsilon"] for line in one.lines[1:])]
    rounds = list(range(len(values)))
    budget = [one.config["privacy"]["budget"]] * len(values)
    traces: list[dict[str, Any]] = [
        {"type": "scatter", "mode": mode, "name": name, "x": rounds, "y": y, "line": line}
        for mode, name, y, line in (
            ("lines+markers", "spent", values, {"color": BLUE, "width": 3}),
            ("lines", "budget", budget, {"color": RED, "dash": "dash"}),
        )
    ]
    return {"data": traces, "layout": {"xaxis": axis("round"), "yaxis": axis("epsilon")}}


def words(one: Run) -> str:
    """Say under which terms updates left, what they add up to, and who may send no more."""
    terms = one.config["privacy"]
    trained = [line["privacy"] for line in one.lines[1:]]
    spent = trained[-1]["epsilon"] if trained else 0.0
    value = "beyond all bounds" if spent is None else f"{spent:.3g}"
    sites = len(one.config["class_counts"])
    gone = len(trained[-1]["exhausted"]) if trained else 0
    return (
        f"Every update was clipped to {terms['clip']:g} and got noise of {terms['noise']:g} times "
        f"that on each weight. After {len(trained)} rounds, epsilon is {value} at delta "
        f"{terms['delta']:g}, of a budget of {terms['budget']:g}; {gone} of {sites} sites have "
        "used theirs up. That hides what a site's examples put into its updates; it hides neither "
        "how many examples a site has nor what its metrics tell. What the noise costs shows "
        "beside a run without it."
    )
