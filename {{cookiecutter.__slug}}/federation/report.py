"""Show one run, or several side by side, as a page that opens offline."""

import argparse
import html
import json
import statistics
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from .package import write_atomically
from .project import ROOT, SLUG, ProjectError, shown
from .runs import Run, lower_is_better
from .show import number
from .summary import headline, judge

PAGE = Path(__file__).with_name("report.html")
# Okabe and Ito, "Color Universal Design", 2008: told apart with every kind of colour vision.
BLUE, ORANGE, GREEN, PINK, SKY, RED = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
)
COLORS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
# More clients than this are drawn as a distribution, not by name.
NAMED = 40


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation report`."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a folder under runs/")
    parser.add_argument("--output", type=Path, metavar="FILE", help="(default RUN/report.html)")


def run(options: argparse.Namespace) -> None:
    """Write the page and say where it is."""
    runs = [Run.read(folder) for folder in options.runs]
    if len({run.metric for run in runs}) > 1:
        raise ProjectError("the runs go by different metrics; only equal ones can be compared")
    page = write_report(runs, options.output or options.runs[0] / "report.html")
    print(f"report: {shown(page)}")


def write_report(runs: list[Run], path: Path) -> Path:
    """Write one page about runs with equal metrics; return its path."""
    project = json.loads((ROOT / "federation" / "project.json").read_text("utf-8"))
    sections = [comparison(runs)] if len(runs) > 1 else []
    sections += [section("How the model learns", curves(runs), curves_words(runs))]
    for one in runs:
        title = f": {one.folder.name}" if len(runs) > 1 else ""
        if one.baselines:
            sections.append(section(f"Who gains{title}", gains(one), gains_words(one)))
        sections.append(section(f"What each site has{title}", shares(one), shares_words(one)))
        sections.append(facts(one, title))
    content = PAGE.read_text("utf-8")
    parts = {
        "TITLE": html.escape(project["name"]),
        "HEADLINE": "".join(f"<p>{html.escape(text)}</p>" for text in headlines(runs)),
        "CARDS": cards(runs[0]) if len(runs) == 1 else "",
        "SECTIONS": "\n".join(sections),
    }
    for name, part in parts.items():
        content = content.replace(f"<!-- {name} -->", part)
    # The library last: it is too large to search through.
    content = content.replace("/* PLOTLY */", plotly_library())
    write_atomically(path, content.encode())
    return path


def headlines(runs: list[Run]) -> list[str]:
    """Return one sentence per run."""
    if len(runs) == 1:
        return [headline(runs[0])]
    return [f"{run.folder.name}: {headline(run)}" for run in runs]


def plotly_library() -> str:
    """Return Plotly's JavaScript, so that the page needs no network."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def section(title: str, figure: go.Figure, words: str) -> str:
    """Return a section with a figure, and the same in words for those who cannot see it."""
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 14},
        legend={"orientation": "h", "y": -0.2},
        height=460,
    )
    data = figure.to_json().replace("</", "<\\/")
    return (
        f'<section><h2>{html.escape(title)}</h2><div class="figure" role="img" '
        f'aria-label="{html.escape(words)}"></div><script type="application/json">{data}</script>'
        f"<p>{html.escape(words)}</p></section>"
    )


def curves(runs: list[Run]) -> go.Figure:
    """Draw the global model's metrics over the rounds, with the baselines as reference."""
    names = list(runs[0].lines[0]["global"])
    figure = go.Figure()
    for metric in names:
        visible = metric == runs[0].metric
        for position, one in enumerate(runs):
            color = COLORS[position % len(COLORS)]
            prefix = f"{one.folder.name}: " if len(runs) > 1 else ""
            rounds = [line["round"] for line in one.lines]
            figure.add_scatter(
                x=rounds, y=one.series(metric), name=f"{prefix}federated", visible=visible,
                mode="lines+markers", line={"color": color, "width": 3}, meta=metric,
            )  # fmt: skip
            if one.baselines:
                pooled = [one.lines[0]["global"][metric]]
                pooled += [line[metric] for line in one.baselines["central"]]
                figure.add_scatter(
                    x=list(range(len(pooled))), y=pooled, name=f"{prefix}pooled data",
                    visible=visible, mode="lines", meta=metric,
                    line={"color": GREEN if len(runs) == 1 else color, "dash": "dash"},
                )  # fmt: skip
                values = [line["everywhere"][metric] for line in one.baselines["alone"]]
                alone = [value for value in values if value is not None]
                if alone:
                    figure.add_scatter(
                        x=[0, rounds[-1]], y=[statistics.median(alone)] * 2, visible=visible,
                        name=f"{prefix}a site alone, median", mode="lines", meta=metric,
                        line={"color": ORANGE if len(runs) == 1 else color, "dash": "dot"},
                    )  # fmt: skip
    buttons = [
        {
            "label": metric.replace("_", " "),
            "method": "update",
            "args": [
                {"visible": [trace.meta == metric for trace in figure.data]},
                {"yaxis.title.text": metric.replace("_", " ")},
            ],
        }
        for metric in names
    ]
    menu = {"buttons": buttons, "active": names.index(runs[0].metric), "x": 0, "xanchor": "left"}
    figure.update_layout(updatemenus=[menu | {"y": 1.16, "yanchor": "top"}])
    figure.update_xaxes(title="round")
    figure.update_yaxes(title=runs[0].metric.replace("_", " "))
    return figure


def curves_words(runs: list[Run]) -> str:
    """Say what `curves` draws."""
    texts = []
    for one in runs:
        verdict = judge(one)
        texts.append(
            f"{one.folder.name}: {verdict.metric.replace('_', ' ')} on all held-out examples goes "
            f"from {number(verdict.seed)} to {number(one.series(one.metric)[-1])} in "
            f"{one.lines[-1]['round']} rounds; the best model is that of round "
            f"{one.best()['round']}."
        )
    return " ".join(texts)


def gained(one: Run) -> list[tuple[int, float]]:
    """Return each client with what the last global model gives it over training alone.

    Measured on its own held-out examples, above 0 where it gains; without clients for which
    the metric is not defined.
    """
    sign = -1 if lower_is_better(one.metric) else 1
    each = one.lines[-1]["each"]
    pairs = [
        (alone["client"], each[alone["client"]][one.metric], alone["own"][one.metric])
        for alone in one.baselines["alone"]
    ]
    return [
        (client, sign * (federated - own))
        for client, federated, own in pairs
        if federated is not None and own is not None
    ]


def gains(one: Run) -> go.Figure:
    """Draw who gains and who loses by the federation."""
    pairs = sorted(gained(one), key=lambda pair: -pair[1])
    values = [gain for _, gain in pairs]
    if len(pairs) > NAMED:
        figure = go.Figure(go.Histogram(x=values, marker_color=BLUE, name="clients"))
        figure.update_xaxes(title=f"gain in {one.metric.replace('_', ' ')}")
        figure.update_yaxes(title="clients")
        return figure
    figure = go.Figure()
    for name, color, shape, wanted in (
        ("gains", BLUE, "", True),
        ("loses", RED, "/", False),
    ):
        some = [(client, gain) for client, gain in pairs if (gain >= 0) == wanted]
        figure.add_bar(
            x=[f"site {client + 1}" for client, _ in some],
            y=[gain for _, gain in some],
            name=name,
            marker={"color": color, "pattern": {"shape": shape}},
        )
    figure.update_yaxes(title=f"gain in {one.metric.replace('_', ' ')}", zeroline=True)
    return figure


def gains_words(one: Run) -> str:
    """Say what `gains` draws."""
    pairs = gained(one)
    if not pairs:
        return "No site has the held-out examples that it takes to tell."
    winners = sum(gain >= 0 for _, gain in pairs)
    client, best = max(pairs, key=lambda pair: pair[1])
    return (
        f"On its own held-out examples, {winners} of {len(pairs)} sites do as well or better with "
        f"the federated model than alone; site {client + 1} gains most, {best:+.3f}."
    )


def shares(one: Run) -> go.Figure:
    """Draw how many examples of each class each site has; a button shows where a class lies."""
    counts = one.config["class_counts"][:NAMED]
    sites = [f"site {number}" for number in range(1, len(counts) + 1)]
    figure = go.Figure()
    for label in range(len(counts[0])):
        figure.add_bar(
            x=sites,
            y=[row[label] for row in counts],
            name=f"class {label}",
            marker={
                "color": COLORS[label % len(COLORS)],
                "pattern": {"shape": "" if label < len(COLORS) else "/"},
            },
        )
    counted = [list(column) for column in zip(*counts, strict=True)]
    shared = [[100 * n / max(sum(column), 1) for n in column] for column in counted]
    buttons = [
        {
            "label": label,
            "method": "update",
            "args": [{"y": values}, {"barmode": mode, "yaxis.title.text": axis}],
        }
        for label, values, mode, axis in (
            ("examples", counted, "stack", "examples"),
            ("where each class lies", shared, "group", "% of the class"),
        )
    ]
    menu = {"buttons": buttons, "type": "buttons", "direction": "right", "x": 0, "y": 1.16}
    figure.update_layout(
        barmode="stack",
        yaxis_title="examples",
        updatemenus=[menu | {"xanchor": "left", "yanchor": "top"}],
    )
    return figure


def shares_words(one: Run) -> str:
    """Say what `shares` draws."""
    sizes = [sum(row) for row in one.config["class_counts"]]
    hidden = f" The first {NAMED} are drawn." if len(sizes) > NAMED else ""
    return (
        f"{len(sizes)} sites with {min(sizes):,} to {max(sizes):,} examples, "
        f"{sum(sizes):,} in all.{hidden}"
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
    name = html.escape(verdict.metric.replace("_", " "))
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
    head = ["run", *differing, "federated", "alone", "pooled"]
    rows = []
    for one in runs:
        verdict = judge(one)
        asked = [str(one.config["options"].get(name)) for name in differing]
        reached = [number(v) for v in (verdict.federated, verdict.alone, verdict.central)]
        rows.append([one.folder.name, *asked, *reached])
    return f"<section><h2>Side by side</h2>{table(head, rows)}</section>"


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
    command = "python -m federation simulate " + " ".join(
        flag for name, value in options.items() for flag in _flags(name, value)
    )
    return (
        f"<section><h2>How it was done{html.escape(title)}</h2>{table(['', ''], rows)}"
        f"<p>Repeat it in {html.escape(SLUG)}:</p><pre>{html.escape(command)}</pre></section>"
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
