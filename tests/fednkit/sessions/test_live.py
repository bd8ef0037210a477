"""The live table of a round: what it says of each site, and that only a terminal sees it."""

import io
from itertools import count
from threading import Event
from typing import Any

import pytest
from rich.console import Console

from fednkit.project.errors import ProjectError, one_line
from fednkit.runs.records import Metrics
from fednkit.sessions import following
from fednkit.sessions._live import LiveTable, Progress, live_table
from fednkit.sessions.rounds import Round

SITES = {"site-1", "site-2", "site-3"}


def drawn(table: LiveTable, width: int = 80, height: int = 24, seconds: float = 12) -> list[str]:
    """Return the lines that a person sees, without the spaces at their ends."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(table.render(seconds, height))
    return [line.rstrip() for line in captured.get().splitlines()]


def table(
    progress: Progress, total: int | None = None, before: tuple[Round, ...] = ()
) -> LiveTable:
    made = LiveTable(total, before)
    made.update(progress)
    return made


def test_before_the_first_round_it_waits() -> None:
    assert drawn(LiveTable(3)) == ["waiting for the next round"]


def test_each_site_has_its_state_and_its_newest_metrics() -> None:
    before = Round(1, finished=True, sites={"site-1": {"auc": 0.5, "num_examples": 9}})
    progress = Progress(2, 0.0, 60, SITES, SITES | {"site-4"}, set())
    assert drawn(table(progress, 3, (before,))) == [
        "round 2 of 3, training, 12 s",
        "site    update    as of    auc",
        "site-1  training  round 1  0.5000",
        "site-2  training  -        -",
        "site-3  training  -        -",
        "site-4  waiting   -        -",
    ]


def test_a_round_that_has_ended_shows_who_was_refused_and_whose_validation_came() -> None:
    result = Round(
        2,
        finished=True,
        sites={"site-1": {"auc": 0.75, "num_examples": 9}, "site-2": {"num_examples": 3}},
        outcome={"refused": {"site-2": "found NaN"}},
    )
    progress = Progress(2, 0.0, 60, SITES, SITES, {"site-1", "site-2"}, result)
    assert drawn(table(progress)) == [
        "round 2, validation, 12 s",
        "site    update              as of     auc",
        "site-1  received            round 2   0.7500",
        "site-2  refused: found NaN  withheld  -",
        "site-3  late                -         -",
    ]


@pytest.mark.parametrize(
    ("updates", "seconds", "state"),
    [
        ({"site-1"}, 60, "training"),
        ({"site-1", "site-2"}, 1, "late"),
        (set(), 61, "late"),
    ],
)
def test_a_site_is_late_after_half_of_the_others_or_after_the_timeout(
    updates: set[str], seconds: float, state: str
) -> None:
    progress = Progress(1, 0.0, 60, SITES, SITES, updates)
    assert progress.state("site-3", seconds)[0] == state


def test_a_site_that_left_is_offline_unless_its_update_came() -> None:
    progress = Progress(1, 0.0, 60, SITES, {"site-3"}, {"site-1"})
    assert [progress.state(site, 1)[0] for site in sorted(SITES)] == [
        "received",
        "offline",
        "training",
    ]


def test_a_name_brings_neither_markup_nor_control_characters() -> None:
    sent = "[red]x[/] \x1b[2J"
    site, outcome = one_line(sent), {"refused": {sent: "a\nb [blink]\x07"}}
    metrics: Metrics = {"[bold]\x1b[H": 0.5}
    result = Round(1, finished=True, sites={site: metrics}, outcome=outcome)
    lines = drawn(table(Progress(1, 0.0, 60, {site}, {site}, {site}, result)), width=100)
    assert lines[1:] == [
        r"site               update                     as of    [bold]\x1b[H",
        r"[red]x[/] \x1b[2J  refused: a\nb [blink]\x07  round 1  0.5000",
    ]


@pytest.mark.parametrize("width", [60, 100])
def test_a_site_is_one_line_of_the_terminals_width(width: int) -> None:
    name = "x" * 300
    metrics: Metrics = {f"m{number}" * 50: 0.5 for number in range(50)}
    result = Round(1, finished=True, sites={name: metrics}, outcome={"refused": {name: "y " * 300}})
    lines = drawn(table(Progress(1, 0.0, 60, {name}, {name}, {name}, result)), width)
    assert len(lines) == 3
    assert max(map(len, lines)) <= width


def test_with_more_sites_than_lines_those_that_need_attention_come_first() -> None:
    sites = {f"site-{number}" for number in range(1, 101)}
    lines = drawn(table(Progress(1, 0.0, 60, sites, sites, sites - {"site-77"})), height=8)
    assert [line.split()[0] for line in lines[2:]] == [
        "site-77",
        "site-1",
        "site-2",
        "site-3",
        "and",
    ]
    assert lines[-1] == "and 96 more sites"


def test_a_terminal_sees_the_lines_of_rounds_above_the_table_and_no_table_at_the_end() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, highlight=False)
    with live_table(lambda: 3, screen=screen) as update:
        assert update
        update(Progress(2, 0.0, 60, SITES, SITES, set()))
        screen.print("round 1: as always")
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert text.index("round 1: as always") < text.rindex("round 2 of 3")
    assert text.endswith("\x1b[1A\x1b[2K" * 5)


def test_without_a_terminal_nothing_is_drawn_or_asked() -> None:
    screen = Console(file=io.StringIO())
    with live_table(lambda: pytest.fail("asked for the total"), screen=screen) as update:
        assert update is None
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue() == ""


class Controller:
    """A session of one round, which runs at the first two polls and has failed at the third."""

    def __init__(self) -> None:
        self.polls = self.listings = 0

    def get_session(self, _: str) -> dict[str, Any]:
        self.polls += 1
        return {"status": "Started" if self.polls < 3 else "Finished"}

    def get_rounds(self) -> dict[str, Any]:
        config = {"session_id": "s", "model_id": "m"}
        status = "Started" if self.polls < 3 else "Failed"
        entry = {"round_id": "1", "status": status, "round_config": config, "combiners": []}
        return {"result": [entry]}

    def get_statuses(self, session_id: str) -> dict[str, Any]:
        self.listings += 1
        done = {"status": "Model update completed.", "sender": {"name": "site-1"}}
        return {"result": [{**done, "data": '{"modelId": "m"}', "session_id": session_id}]}


@pytest.mark.parametrize(("watched", "listings"), [(False, 1), (True, 3)])
def test_who_watches_hears_of_every_poll_for_one_listing_more(
    monkeypatch: pytest.MonkeyPatch, watched: bool, listings: int
) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 0)
    controller: Any = Controller()
    seen: list[Progress] = []
    rounds = following.follow(
        controller,
        "s",
        60,
        alive_sites=lambda: {"site-1", "site-2"},
        say=lambda line: None,
        keep=lambda result: None,
        done=4,
        watch=seen.append if watched else None,
    )
    assert [result.number for result in rounds] == [5]
    assert controller.listings == listings
    assert [(one.number, one.updates, one.result is None) for one in seen] == (
        [(5, {"site-1"}, running) for running in (True, True, False)] if watched else []
    )


def test_a_restarted_controller_gives_its_round_the_whole_time_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = count(0, 50)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(following, "POLL_SECONDS", 0)
    restarted = Event()

    class Restarted(Controller):
        def get_session(self, _: str) -> dict[str, Any]:
            self.polls += 1
            # Each poll takes at least 50 s by this clock.
            if self.polls < 50:
                restarted.set()
            return {"status": "Started"}

        def get_rounds(self) -> dict[str, Any]:
            return {"result": []}

    controller: Any = Restarted()
    with pytest.raises(ProjectError, match="round 1 did not end within 60 s"):
        list(
            following.follow(
                controller,
                "s",
                60,
                alive_sites=set,
                say=lambda line: None,
                keep=lambda result: None,
                restarted=restarted,
            )
        )
    assert controller.polls >= 50
