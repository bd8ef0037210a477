"""Show one run, or several side by side, as a page that opens offline."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from fednsite.files import write_atomically

from ..project.config import current
from ..project.console import number
from ..project.errors import ProjectError
from ..project.paths import shown
from ..project.templates import render
from . import outcomes
from ._figures import Figure, curves, curves_words, gains, gains_words, plain, shares, shares_words
from .privacy import has_privacy, spending, words
from .run import Run
from .summary import headline, judge

__all__ = ["Options", "plotly_library", "run", "write_report"]

# Of every figure; the page's script sets the colors.
LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
    "font": {"family": "system-ui, sans-serif", "size": 14},
    "legend": {"orientation": "h", "y": -0.25},
    "height": 460,
}


@dataclass(frozen=True)
class Options:
    """Options of `fednkit report`.

    Attributes:
        runs: Folders under runs/; several are compared.
        output: The file to write (default: report.html in the first folder).
    """

    runs: tuple[Path, ...]
    output: Path | None = field(default=None, kw_only=True)


def run(options: Options) -> None:
    """Write the page and say where it is."""
    runs = [Run.read(folder) for folder in options.runs]
    if len({run.metric for run in runs}) > 1:
        raise ProjectError("the runs go by different metrics; only equal ones can be compared")
    page = write_report(runs, options.output or options.runs[0] / "report.html")
    print(f"report: {shown(page)}")


def write_report(runs: list[Run], path: Path) -> Path:
    """Write one page about runs with equal metrics; return its path."""
    several = len(runs) > 1
    page = render(
        "fednkit.runs",
        "report.html",
        project=current(),
        headlines=headlines(runs),
        cards=[] if several else cards(runs[0]),
        metric=plain(runs[0].metric),
        comparison=comparison(runs) if several else None,
        curves=(curves(runs), curves_words(runs)),
        runs=[
            {
                "suffix": f": {one.folder.name}" if several else "",
                "figures": list(figures(one)),
                "outcomes": outcomes.rows(one.lines),
                "outcomes_words": outcomes.words(one),
                "facts": facts(one),
                "command": command(one),
            }
            for one in runs
        ],
        outcomes_head=outcomes.HEAD,
        layout=LAYOUT,
        plotly=plotly_library(),
    )
    write_atomically(path, page.encode())
    return path


def headlines(runs: list[Run]) -> list[str]:
    """Return one sentence per run."""
    if len(runs) == 1:
        return [headline(runs[0])]
    return [f"{run.folder.name}: {headline(run)}" for run in runs]


def plotly_library() -> str:
    """Return Plotly's JavaScript, so that the page needs no network.

    Taken as a file, because importing Plotly takes longer than all the rest of the page.
    """
    return (files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")


def cards(one: Run) -> list[tuple[str, str]]:
    """Return the four numbers that matter, each after its label."""
    verdict = judge(one)
    return [
        ("federated", number(verdict.federated)),
        ("a site alone, median", number(verdict.alone)),
        ("pooled data", number(verdict.central)),
        ("seed model", number(verdict.seed)),
    ]


def figures(one: Run) -> Iterator[tuple[str, Figure, str]]:
    """Yield a run's own figures: title, figure, and the same in words."""
    if one.baselines:
        yield "Who gains", gains(one), gains_words(one)
    yield "What each site has", shares(one), shares_words(one)
    if has_privacy(one):
        yield "Differential privacy", spending(one), words(one)


def comparison(runs: list[Run]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a table of several runs: differing options, and results."""
    names = sorted({name for one in runs for name in one.config["options"]})
    differing = [
        name for name in names
        if len({json.dumps(one.config["options"].get(name)) for one in runs}) > 1 and name != "name"
    ]  # fmt: skip
    head = ["run", *(name.replace("_", " ") for name in differing), "federated", "alone", "pooled"]
    rows = []
    for one in runs:
        verdict = judge(one)
        asked = [answer(one.config["options"].get(name)) for name in differing]
        reached = [number(v) for v in (verdict.federated, verdict.alone, verdict.central)]
        rows.append([one.folder.name, *asked, *reached])
    return head, rows


def answer(value: Any) -> str:
    """Return an option as a person would say it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def facts(one: Run) -> list[tuple[str, str]]:
    """Return the rows of a table: what a run cost, and what it ran on."""
    trained = one.lines[1:]
    return [
        ("rounds", str(len(trained))),
        ("updates", f"{sum(len(line['clients']) for line in trained):,} asked for"),
        ("exchanged", f"{sum(line['bytes'] for line in trained) / 1e6:,.1f} MB of weights"),
        ("time in rounds", f"{sum(line['seconds'] for line in trained):,.1f} s"),
        ("archive", f"SHA-256 {one.config['archive_sha256']}"),
        *one.config["versions"].items(),
    ]


def command(one: Run) -> str:
    """Return the command that repeats a run."""
    options = one.config["options"].items()
    flags = [flag for name, value in options for flag in _flags(name, value)]
    return " ".join(["fednkit simulate", *flags])


def _flags(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if value is None or value is False or name in ("workers", "mlflow", "name"):
        return []
    if value is True:
        return [flag]
    return [f"{flag} {item}" for item in value] if isinstance(value, list) else [f"{flag} {value}"]
