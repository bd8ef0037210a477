"""The report's figures as Plotly's plain data, and the same in words."""

import statistics
from typing import Any

from ..project.console import number
from .run import Run, lower_is_better
from .summary import judge, single_class_words

# Okabe and Ito, "Color Universal Design", 2008: told apart with every kind of colour vision.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
BLUE, ORANGE, GREEN, _, _, RED = COLORS
# More clients than this are drawn as a distribution, not by name.
NAMED = 40

# What Plotly draws: {"data": traces, "layout": the rest}.
Figure = dict[str, Any]


def plain(name: str) -> str:
    """Return a metric's name in words."""
    return name.replace("_", " ")


def axis(title: str) -> dict[str, Any]:
    """Return an axis with a title."""
    return {"title": {"text": title}}


def menu(buttons: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    """Return a menu over the left end of a figure."""
    place = {"x": 0, "xanchor": "left", "y": 1.16, "yanchor": "top"}
    return [{"buttons": buttons, **place, **more}]


def curves(runs: list[Run]) -> Figure:
    """Draw the global model's metrics over the rounds, with the baselines as reference."""
    names = list(runs[0].lines[0]["global"])
    traces: list[dict[str, Any]] = []
    for metric in names:
        for position, one in enumerate(runs):
            prefix = f"{one.folder.name}: " if len(runs) > 1 else ""
            color = COLORS[position % len(COLORS)]
            pooled, alone = (GREEN, ORANGE) if len(runs) == 1 else (color, color)
            drawn: list[tuple[str, list[Any], dict[str, Any]]] = [
                ("federated", one.series(metric), {"color": color, "width": 3})
            ]
            if one.baselines:
                central = [line[metric] for line in one.baselines["central"]]
                values = [one.series(metric)[0], *central]
                drawn.append(("pooled data", values, {"color": pooled, "dash": "dash"}))
                reached = [line["everywhere"][metric] for line in one.baselines["alone"]]
                known = [value for value in reached if value is not None]
                if known:
                    level = [statistics.median(known)] * len(one.lines)
                    line = {"color": alone, "dash": "dot"}
                    drawn.append(("a site alone, median", level, line))
            traces += [
                {
                    "type": "scatter",
                    "mode": "lines+markers" if name == "federated" else "lines",
                    "name": prefix + name,
                    "x": list(range(len(values))),
                    "y": values,
                    "line": line,
                    "visible": metric == runs[0].metric,
                    "meta": metric,
                }
                for name, values, line in drawn
            ]
    buttons = [
        {
            "label": plain(metric),
            "method": "update",
            "args": [
                {"visible": [trace["meta"] == metric for trace in traces]},
                {"yaxis.title.text": plain(metric)},
            ],
        }
        for metric in names
    ]
    layout = {
        "hovermode": "x unified",
        "xaxis": axis("round"),
        "yaxis": axis(plain(runs[0].metric)),
        "updatemenus": menu(buttons, active=names.index(runs[0].metric)),
    }
    return {"data": traces, "layout": layout}


def curves_words(runs: list[Run]) -> str:
    """Say what `curves` draws."""
    texts = []
    for one in runs:
        verdict = judge(one)
        texts.append(
            f"{one.folder.name}: {plain(verdict.metric)} on all held-out examples goes from "
            f"{number(verdict.seed)} to {number(verdict.federated)} in "
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


def gains(one: Run) -> Figure:
    """Draw who gains and who loses by the federation."""
    pairs = sorted(gained(one), key=lambda pair: -pair[1])
    title = f"gain in {plain(one.metric)}"
    if len(pairs) > NAMED:
        values = [gain for _, gain in pairs]
        trace = {"type": "histogram", "x": values, "marker": {"color": BLUE}, "name": "clients"}
        return {"data": [trace], "layout": {"xaxis": axis(title), "yaxis": axis("clients")}}
    traces = []
    for name, color, shape, wanted in (("gains", BLUE, "", True), ("loses", RED, "/", False)):
        some = [(client, gain) for client, gain in pairs if (gain >= 0) == wanted]
        traces.append(
            {
                "type": "bar",
                "name": name,
                "x": [f"site {client + 1}" for client, _ in some],
                "y": [gain for _, gain in some],
                "marker": {"color": color, "pattern": {"shape": shape}},
            }
        )
    return {"data": traces, "layout": {"yaxis": axis(title)}}


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


def shares(one: Run) -> Figure:
    """Draw how many examples of each class each site has; a button shows where a class lies."""
    counts = one.config["class_counts"][:NAMED]
    counted = [list(column) for column in zip(*counts, strict=True)]
    shared = [[100 * n / max(sum(column), 1) for n in column] for column in counted]
    traces = [
        {
            "type": "bar",
            "name": f"class {label}",
            "x": [f"site {site}" for site in range(1, len(counts) + 1)],
            "y": column,
            "marker": {
                "color": COLORS[label % len(COLORS)],
                "pattern": {"shape": "" if label < len(COLORS) else "/"},
            },
        }
        for label, column in enumerate(counted)
    ]
    buttons = [
        {
            "label": label,
            "method": "update",
            "args": [{"y": values}, {"barmode": mode, "yaxis.title.text": title}],
        }
        for label, values, mode, title in (
            ("examples", counted, "stack", "examples"),
            ("where each class lies", shared, "group", "percent of the class"),
        )
    ]
    kind = {"type": "buttons", "direction": "right", "showactive": False}
    layout = {"barmode": "stack", "yaxis": axis("examples"), "updatemenus": menu(buttons, **kind)}
    return {"data": traces, "layout": layout}


def shares_words(one: Run) -> str:
    """Say what `shares` draws."""
    sizes = [sum(row) for row in one.config["class_counts"]]
    hidden = f" The first {NAMED} are drawn." if len(sizes) > NAMED else ""
    if single := single_class_words(one.config["class_counts"]):
        hidden += f" {single}."
    return (
        f"{len(sizes)} sites with {min(sizes):,} to {max(sizes):,} examples, "
        f"{sum(sizes):,} in all.{hidden}"
    )
