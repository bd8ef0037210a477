"""The rounds of a run to resume: what was written comes back, and all else is refused."""

import dataclasses
import json
from typing import Any

import msgspec
import pytest

from fednkit.sessions import resume
from fednkit.sessions.rounds import Round

ROUND = Round(
    3,
    finished=True,
    model_id="model-3",
    updates=2,
    seconds=1.5,
    sites={"site-1": {"auc": 0.9, "num_examples": 30}, "site-2": {}},
    unusable={"site-2": "expected JSON"},
    privacy={"site-1": {"epsilon": 1.5, "updates": 3, "exhausted": False}},
    outcome={"refused": {"site-2": "array 0 holds NaN"}},
)


def entry() -> dict[str, Any]:
    """Return the round as it stands in metrics.json."""
    recorded = {**dataclasses.asdict(ROUND), "mean": ROUND.mean()}
    return json.loads(json.dumps(recorded))  # type: ignore[no-any-return]


def test_a_round_comes_back_as_it_was() -> None:
    found = resume._round(entry())
    assert found == ROUND
    assert type(found.sites["site-1"]["num_examples"]) is int


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", "3"),
        ("finished", 1),
        ("updates", 2.5),
        ("seconds", None),
        ("model_id", 3),
        ("unusable", {"site-2": 1}),
        ("privacy", {"site-1": "none"}),
    ],
)
def test_a_field_of_another_type_is_named(name: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"at `\$\.{name}"):
        resume._round({**entry(), name: value})


@pytest.mark.parametrize("value", [float("inf"), 10**400, [[[[[[1]]]]]]])
def test_a_number_or_a_nesting_that_nothing_can_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected finite numbers"):
        resume._round({**entry(), "outcome": {"refused": value}})
