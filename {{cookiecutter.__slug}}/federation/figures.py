"""The report's figures, and the same in words."""

import statistics

import plotly.graph_objects as go

from .runs import Run, lower_is_better
from .show import number
from .summary import judge

# Okabe and Ito, "Color Universal Design", 2008: told apart with every kind of colour vision.
BLUE, ORANGE, GREEN, PINK, SKY, RED = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"),
)
COLORS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
# More clients than this are drawn as a distribution, not by name.
NAMED = 40


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
    menu = {"buttons": buttons, "type": "buttons", "showactive": False, "direction": "right"}
    figure.update_layout(
        barmode="stack",
        yaxis_title="examples",
        updatemenus=[menu | {"x": 0, "xanchor": "left", "y": 1.16, "yanchor": "top"}],
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
