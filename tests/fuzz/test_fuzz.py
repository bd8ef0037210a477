"""Hostile input is refused in one line, or taken for what it is; see fuzz/__init__.py.

Of the corpus' numbered cases, and of made-up ones, a part is tried here, and more where it is slow.
"""

import sys
from collections.abc import Mapping

import pytest

from fuzz.kinds import KINDS
from fuzz.running import Outcome, tried

Outcomes = Mapping[str, Outcome]
# Made-up cases of each kind, and which of the corpus' numbered ones are tried.
CASES, EVERY = 12, 30

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc"),
    # Every test looks at the outcomes of one process.
    pytest.mark.xdist_group("fuzz"),
]


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    """What came of every kind."""
    return tried(dict.fromkeys(KINDS, CASES), seed=0, every=EVERY)


def crashes(outcomes: Outcomes) -> list[dict[str, str]]:
    return [crash for one in outcomes.values() for crash in one["found"]]


def test_hostile_input_is_refused_or_taken_for_what_it_is(outcomes: Outcomes) -> None:
    assert crashes(outcomes) == []
    assert outcomes.keys() == KINDS.keys()


def test_of_every_kind_some_are_refused_and_some_are_taken(outcomes: Outcomes) -> None:
    """Otherwise the cases would be no test of one or the other."""
    for name, one in outcomes.items():
        assert one["cases"] > CASES, name
        assert min(one["refused"], one["accepted"]) > 0, name


def test_memory_stays_within_the_bound_of_each_kind(outcomes: Outcomes) -> None:
    assert {name for name, one in outcomes.items() if one["peak"] > KINDS[name].megabytes} == set()


@pytest.mark.slow
def test_the_whole_corpus_is_refused_or_taken_for_what_it_is() -> None:
    """With a thousand made-up cases."""
    outcomes = tried({name: kind.share for name, kind in KINDS.items()}, seed=1)
    assert crashes(outcomes) == []
    assert outcomes.keys() == KINDS.keys()
