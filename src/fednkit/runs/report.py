"""Show one run, or several side by side, as a page that opens offline."""

import html
import json
import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from fednsite.files import write_atomically

from ..project.config import current
from ..project.console import number
from ..project.errors import ProjectError
from ..project.paths import shown
from . import outcomes
from ._figures import Figure, curves, curves_words, gains, gains_words, plain, shares, shares_words
from .privacy import has_privacy, spending, words
from .run import Run
from .summary import headline, judge

__all__ = [
    "Options",
    "answer",
    "cards",
    "comparison",
    "facts",
    "headlines",
    "plotly_library",
    "run",
    "section",
    "table",
    "write_report",
]

PLACE = re.compile(r"<!-- ([A-Z]+) -->|/\* (PLOTLY) \*/")


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
    sections = [comparison(runs)] if len(runs) > 1 else []
    sections += [section("How the model learns", curves(runs), curves_words(runs))]
    for one in runs:
        title = f": {one.folder.name}" if len(runs) > 1 else ""
        if one.baselines:
            sections.append(section(f"Who gains{title}", gains(one), gains_words(one)))
        sections.append(section(f"What each site has{title}", shares(one), shares_words(one)))
        if has_privacy(one):
            sections.append(section(f"Differential privacy{title}", spending(one), words(one)))
        if rows := outcomes.rows(one.lines):
            sections.append(
                f"<section><h2>Attack and defence{html.escape(title)}</h2>"
                f"<p>{html.escape(outcomes.words(one))}</p>"
                f"{table(list(outcomes.HEAD), rows)}</section>"
            )
        sections.append(facts(one, title))
    content = (files(__package__) / "report.html").read_text("utf-8")
    parts = {
        "TITLE": html.escape(current().name),
        "HEADLINE": "".join(f"<p>{html.escape(text)}</p>" for text in headlines(runs)),
        "CARDS": cards(runs[0]) if len(runs) == 1 else "",
        "SECTIONS": "\n".join(sections),
    }
    parts["PLOTLY"] = plotly_library()
    # In one go, so that nothing that is put in is taken for a place to put something in.
    content = PLACE.sub(lambda place: parts[place[1] or place[2]], content)
    write_atomically(path, content.encode())
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


def section(title: str, figure: Figure, words: str) -> str:
    """Return a section with a figure, and the same in words for those who cannot see it."""
    layout = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "font": {"family": "system-ui, sans-serif", "size": 14},
        "legend": {"orientation": "h", "y": -0.25},
        "height": 460,
        **figure["layout"],
    }
    # No "<", with which a script can be ended, or a comment begun that hides its end.
    data = json.dumps({"data": figure["data"], "layout": layout}).replace("<", "\\u003c")
    return (
        f'<section><h2>{html.escape(title)}</h2><div class="figure" role="img" '
        f'aria-label="{html.escape(words)}"></div><script type="application/json">{data}</script>'
        f"<p>{html.escape(words)}</p></section>"
    )


def cards(one: Run) -> str:
    """Return the four figures that matter."""
    verdict = judge(one)
    figures: list[tuple[str, Any]] = [
        ("federated", verdict.federated),
        ("a site alone, median", verdict.alone),
        ("pooled data", verdict.central),
        ("seed model", verdict.seed),
    ]
    name = html.escape(plain(verdict.metric))
    return "".join(
        f'<div class="card"><b>{number(value)}</b><span>{label}</span><small>{name}</small></div>'
        for label, value in figures
    )


def comparison(runs: list[Run]) -> str:
    """Return a table of several runs."""
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
    return f"<section><h2>Side by side</h2>{table(head, rows)}</section>"


def answer(value: Any) -> str:
    """Return an option as a person would say it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def facts(one: Run, title: str) -> str:
    """Return what was asked, what it cost and how to repeat it."""
    options = one.config["options"]
    trained = one.lines[1:]
    rows = [
        ["rounds", str(len(trained))],
        ["updates", f"{sum(len(line['clients']) for line in trained):,} asked for"],
        ["exchanged", f"{sum(line['bytes'] for line in trained) / 1e6:,.1f} MB of weights"],
        ["time in rounds", f"{sum(line['seconds'] for line in trained):,.1f} s"],
        ["archive", f"SHA-256 {one.config['archive_sha256']}"],
        *([name, version] for name, version in one.config["versions"].items()),
    ]
    command = "fednkit simulate " + " ".join(
        flag for name, value in options.items() for flag in _flags(name, value)
    )
    return (
        f"<section><h2>How it was done{html.escape(title)}</h2>{table(['', ''], rows)}"
        f"<p>Repeat it in {html.escape(current().slug)}:</p>"
        f"<pre>{html.escape(command)}</pre></section>"
    )


def _flags(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if value is None or value is False or name in ("workers", "mlflow", "name"):
        return []
    if value is True:
        return [flag]
    return [f"{flag} {item}" for item in value] if isinstance(value, list) else [f"{flag} {value}"]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return an HTML table."""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )
