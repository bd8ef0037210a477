"""Hostile input is refused in one line, or taken for what it is; see fuzz/__init__.py.

Here the corpus, and a few hundred made-up cases; `make fuzz` tries 100,000.
"""

import sys
from collections.abc import Mapping

import pytest
from baking import Project

from fuzz.kinds import KINDS
from fuzz.running import Outcome, tried

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc")
# Made-up cases of each kind, and which of the corpus' numbered ones are tried.
CASES, EVERY = 25, 24


@pytest.fixture(scope="module", params=sorted({kind.task for kind in KINDS.values()}))
def outcomes(request: pytest.FixtureRequest, project: Project) -> Mapping[str, Outcome]:
    """What came of every kind that a task's project is tried with."""
    counts = {name: CASES for name, kind in KINDS.items() if kind.task == request.param}
    return tried(project(request.param, "numpy"), counts, seed=0, every=EVERY)


def test_hostile_input_is_refused_or_taken_for_what_it_is(
    outcomes: Mapping[str, Outcome],
) -> None:
    assert [crash for one in outcomes.values() for crash in one["found"]] == []


def test_of_every_kind_some_are_refused_and_some_are_taken(
    outcomes: Mapping[str, Outcome],
) -> None:
    """Otherwise the cases would be no test of one or the other."""
    for name, one in outcomes.items():
        assert one["cases"] > CASES, name
        assert min(one["refused"], one["accepted"]) > 0, name


def test_memory_stays_within_the_bound_of_each_kind(outcomes: Mapping[str, Outcome]) -> None:
    assert {name for name, one in outcomes.items() if one["peak"] > KINDS[name].megabytes} == set()
