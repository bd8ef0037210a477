"""The report page: what it holds, and that no text of a run gets out of its place."""

import html.parser
import json
from pathlib import Path
from typing import Any

import pytest
from fuzz.runs import BASELINES, CONFIG, LINES, check_page
from library import write_project

from fednkit.runs import report
from fednkit.runs.outcomes import KINDS
from fednkit.runs.run import Run

HOSTILE = "</script></pre><script>alert(1)</script><!--<script> \"'& {{ plotly }} {% raw %} {#"
LIBRARY = "let library = '<b>' && 1"


class Elements(html.parser.HTMLParser):
    """Reads a page as a browser does: the text of each element, and the words of each figure."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.words: list[str] = []
        self.inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts.setdefault(tag, []).append("")
        self.words += [value for name, value in attrs if name == "aria-label" and value]
        self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.lasttag][-1] += data


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a hostile name, which is the working folder."""
    root = write_project(tmp_path / "project", name=HOSTILE)
    monkeypatch.chdir(root)
    monkeypatch.setattr(report, "plotly_library", lambda: LIBRARY)
    return root


def run_named(name: str, **options: Any) -> Run:
    """Return a run with an attack, privacy and baselines; options: those that are others."""
    config = {**CONFIG, "options": {**CONFIG["options"], **options}}
    return Run(Path("runs", name), config, LINES, BASELINES)


def elements(project: Path, *runs: Run) -> Elements:
    page = report.write_report(list(runs), project / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>\n")
    assert f"<script>{LIBRARY}</script>" in page
    check_page(page)
    return Elements(page)


def test_the_page_of_a_run(project: Path) -> None:
    page = elements(project, run_named("one"))
    assert page.texts["h2"] == [
        *("How the model learns", "Who gains", "What each site has", "Differential privacy"),
        *("Attack and defence", "How it was done"),
    ]
    assert page.texts["b"] == ["0.5000", "0.5000", "0.5000", "0.5000"]
    assert page.texts["small"] == ["auc", "auc", "auc", "auc"]
    assert page.texts["p"][0].startswith("Federation does not pay here: federated training")
    assert page.words == page.texts["p"][1:5]
    assert page.texts["pre"][0].startswith("fednkit simulate --clients 2 --rounds 2 --set epochs=1")


def test_a_figure_is_what_plotly_draws(project: Path) -> None:
    figure = json.loads(elements(project, run_named("one")).texts["script"][0])
    assert sorted(figure) == ["data", "layout"]
    drawn = [trace["name"] for trace in figure["data"] if trace["visible"]]
    assert drawn == ["federated", "pooled data", "a site alone, median"]
    assert figure["layout"]["height"] == 460
    assert figure["layout"]["xaxis"] == {"title": {"text": "round"}}


def test_several_runs_are_compared_in_a_table(project: Path) -> None:
    page = elements(project, run_named("one"), run_named("two", alpha=5.0))
    assert page.texts["h2"][:3] == ["Side by side", "How the model learns", "Who gains: one"]
    assert page.texts["h2"][-1] == "How it was done: two"
    assert page.texts["th"][:5] == ["run", "alpha", "federated", "alone", "pooled"]
    assert page.texts["td"][:10] == [
        *("one", "0.5", "0.5000", "0.5000", "0.5000"),
        *("two", "5.0", "0.5000", "0.5000", "0.5000"),
    ]
    assert "b" not in page.texts


def test_sections_without_anything_to_say_are_left_out(project: Path) -> None:
    one = run_named("one")
    told = {*KINDS, "stays", "privacy"}
    one.lines = [{name: line[name] for name in line.keys() - told} for line in LINES]
    one.baselines = {}
    page = elements(project, one)
    assert page.texts["h2"] == ["How the model learns", "What each site has", "How it was done"]


def test_no_text_of_a_run_gets_out_of_its_place(project: Path) -> None:
    name = HOSTILE.replace("/", "|")
    one = run_named(name, attack=HOSTILE, set=[HOSTILE])
    one.config["versions"] = {HOSTILE: HOSTILE}
    named = {"global": {HOSTILE: 0.5}, "each": [{HOSTILE: 0.5}, {HOSTILE: 0.5}]}
    one.lines = [line | named | ({"stays": HOSTILE} if line["round"] else {}) for line in LINES]
    one.baselines = {}
    page = elements(project, one)
    assert page.texts["h1"] == [HOSTILE]
    assert page.texts["title"] == [f"{HOSTILE}: is federation worth it?"]
    assert page.texts["small"] == [HOSTILE.replace("_", " ")] * 4
    assert page.texts["td"][-2:] == [HOSTILE, HOSTILE]
    assert f"stays: {HOSTILE}" in page.texts["td"]
    assert f"--set {HOSTILE} " in page.texts["pre"][0]
    assert any(text.startswith(f"Bad clients: {HOSTILE}, ") for text in page.texts["p"])
    assert page.words[0].startswith(f"{name}: {HOSTILE} on all held-out examples")
    assert json.loads(page.texts["script"][0])["data"][0]["meta"] == HOSTILE
