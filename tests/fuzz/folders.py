"""A run's folder that somebody else made: the kind `run`, which is shown and gone on with."""

import html.parser
import importlib
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzz.archives import zipped
from fuzz.images import kept_to
from fuzz.kinds import Judged, WrongError
from fuzz.models import generated, members, npy, odd_members, saved, trained
from fuzz.mutation import NUMBERS_OF_JSON, ODD_JSON, ODD_VALUES, TEXTS, as_text, broken, mangled

METRICS = {"auc": 0.5, "log_loss": 0.7}
CONFIG: dict[str, Any] = {
    "options": {
        "clients": 2,
        "rounds": 2,
        "metric": None,
        "set": ["epochs=1"],
        "seed": 0,
        "alpha": 0.5,
        "aggregator": "median",
        "attack": "sign-flip",
        "attack_strength": 2.0,
        "norm_bound": 1.5,
    },
    "privacy": {"noise": 1.0, "clip": 1.0, "budget": 8.0, "delta": 1e-5},
    "archive_sha256": "0" * 64,
    "versions": {"python": "3.11", "numpy": "2.2.6"},
    "class_counts": [[5, 3], [2, 6]],
    "examples": [6, 6],
}
SETTLED: dict[str, Any] = {
    "attackers": [1],
    "refused": {"1": "array 0 holds NaN or infinite values"},
    "clipped": [0],
    "passed_over": [],
    "exhausted": [0],
    "stays": "the privacy budget of every site is spent",
    "privacy": {"epsilon": 1.5, "charged": [0, 1], "exhausted": [0]},
}
LINES: list[dict[str, Any]] = [
    {
        "round": number,
        "seconds": 0.1,
        "clients": [0, 1] if number else [],
        "dropped": [],
        "late": [],
        "failed": {},
        **({"bytes": 100, **SETTLED} if number else {}),
        "global": METRICS,
        "each": [METRICS, {"auc": None, "log_loss": 0.1}],
    }
    for number in range(3)
]
BASELINES = {
    "central": [METRICS, METRICS],
    "alone": [{"client": client, "everywhere": METRICS, "own": METRICS} for client in (0, 1)],
}
ELEMENTS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "main",
        "h1",
        "h2",
        "div",
        "p",
        "b",
    ),
    *("section", "script", "span", "small", "table", "thead", "tbody", "tr", "th", "td", "pre"),
}
# What a run consists of: its files' contents by their names.
Folder = dict[str, bytes]


class Elements(html.parser.HTMLParser):
    """Reads a page as a browser does, and keeps what a page of ours must not have."""

    def __init__(self) -> None:
        super().__init__()
        self.odd: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        self.scripts += tag == "script"
        if tag not in ELEMENTS or any(name.startswith("on") for name, _ in attrs):
            self.odd.append(f"<{tag} {attrs}>")


def lines(values: list[Any]) -> bytes:
    """Return values as lines of JSON."""
    return "".join(json.dumps(value) + "\n" for value in values).encode("utf-8", "surrogatepass")


def good() -> Folder:
    """Return a run of two rounds."""
    arrays = trained()
    state = {f"weights/{n}": array for n, array in enumerate(arrays)}
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "metrics.jsonl": lines(LINES),
        "baselines.json": json.dumps(BASELINES).encode(),
        "seed.npz": saved({str(n): array for n, array in enumerate(arrays)}),
        "checkpoint.npz": saved({"round": np.array(2), **state, "m/0": arrays[0]}),
    }


def run(project: Path, scratch: Path) -> Judged:
    """Read a run's folder, show it, and take up from its checkpoint."""
    runs: Any = importlib.import_module("federation.runs")
    report: Any = importlib.import_module("federation.report")
    records: Any = importlib.import_module("federation.records")
    error: Any = importlib.import_module("federation.project").ProjectError
    kept_to(project)
    # Plotly itself is large, and not installed here.
    report.plotly_library = lambda: "/* the library */"
    folder = scratch / "in"

    def add_options(parser: Any) -> None:
        for name in ("clients", "rounds", "seed"):
            parser.add_argument(f"--{name}", type=int)
        for name in ("alpha", "attack-strength", "norm-bound"):
            parser.add_argument(f"--{name}", type=float)
        for name in ("attack", "aggregator"):
            parser.add_argument(f"--{name}")
        parser.add_argument("--set", action="append", default=[])
        parser.add_argument("--metric")

    def judge(case: Folder) -> bool:
        folder.mkdir()
        for name, content in case.items():
            (folder / name).write_bytes(content)
        found = runs.Run.read(folder)
        page = report.write_report([found], folder / "report.html").read_text("utf-8")
        report.write_report([found, found], folder / "report.html")
        elements = Elements()
        elements.feed(page)
        # A script of its own for each figure, the library, and what draws them.
        if elements.odd or elements.scripts != page.count('class="figure"') + 2:
            raise WrongError(f"the page has {elements.odd} and {elements.scripts} scripts")
        for text in page.split('<script type="application/json">')[1:]:
            json.loads(text.split("</script>")[0])
        found.best()
        first = found.seed()
        weights, _ = found.restore()
        for array in (*first, *weights):
            if array.dtype.kind not in "iuf":
                raise WrongError(f"took {array.dtype}")
        try:
            records.options(found.config, add_options)
        except records.RecordError as mistake:
            raise error(str(mistake)) from None
        return True

    def clean() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    odd = odd_members([npy(array) for array in trained()])

    def generate(random: Random) -> Folder:
        made = good()
        name = random.choice(list(made))
        match name:
            case "config.json" | "baselines.json":
                value: Any = CONFIG if name == "config.json" else BASELINES
                for _ in range(random.randint(1, 2)):
                    value = mangled(random, value)
                made[name] = as_text(random, value)
            case "metrics.jsonl":
                values: Any = LINES
                for _ in range(random.randint(1, 2)):
                    values = mangled(random, values)
                made[name] = lines(values if isinstance(values, list) else [values])
            case _:
                made[name] = random.choice(
                    [broken(random, made[name]), generated(random, odd), made["seed.npz"]]
                )
        if random.random() < 0.1:
            del made[random.choice(list(made))]
        return made

    corpus = {"a good run": good()}
    for name, content in ODD_JSON.items():
        for file in ("config.json", "metrics.jsonl", "baselines.json"):
            corpus[f"{file}: {name}"] = {**good(), file: content}
    for number, text in enumerate([*TEXTS, *NUMBERS_OF_JSON]):
        named = [{**line, "global": {str(text): 0.5}, "each": [{str(text): 0.5}]} for line in LINES]
        corpus[f"a metric's name: {number}"] = {
            "config.json": good()["config.json"],
            "metrics.jsonl": lines(named),
        }
        for place in ("options", "versions"):
            config = {**CONFIG, place: {**CONFIG[place], "python": text, "name": text}}
            corpus[f"{place}: {number}"] = {**good(), "config.json": as_json(config)}
            config = {**CONFIG, place: {**CONFIG[place], str(text): "1"}}
            corpus[f"{place}, a name: {number}"] = {**good(), "config.json": as_json(config)}
    for number, value in enumerate(ODD_VALUES):
        for name in SETTLED:
            odd_lines = [LINES[0], *({**line, name: value} for line in LINES[1:])]
            corpus[f"{name}: {number}"] = {**good(), "metrics.jsonl": lines(odd_lines)}
            inner = {"1": value, "epsilon": value, "charged": [value], "exhausted": [value]}
            odd_lines = [LINES[0], *({**line, name: inner} for line in LINES[1:])]
            corpus[f"in {name}: {number}"] = {**good(), "metrics.jsonl": lines(odd_lines)}
            odd_lines = [LINES[0], *({**line, name: [value]} for line in LINES[1:])]
            corpus[f"a list in {name}: {number}"] = {**good(), "metrics.jsonl": lines(odd_lines)}
        for name in ("aggregator", "attack", "attack_strength", "norm_bound"):
            config = {**CONFIG, "options": {**CONFIG["options"], name: value}}
            corpus[f"option {name}: {number}"] = {**good(), "config.json": as_json(config)}
        for name in CONFIG["privacy"]:
            config = {**CONFIG, "privacy": {**CONFIG["privacy"], name: value}}
            corpus[f"terms {name}: {number}"] = {**good(), "config.json": as_json(config)}
    bare = {"clients": 2, "rounds": 2}
    corpus["no options of bad clients"] = {
        **good(),
        "config.json": as_json({**CONFIG, "options": bare}),
    }
    for name, parts in odd.items():
        corpus[f"checkpoint.npz: {name}"] = {**good(), "checkpoint.npz": zipped(parts)}
    corpus["seed.npz: an encrypted member"] = {
        **good(),
        "seed.npz": zipped(odd["an encrypted member"]),
    }
    whole = members([npy(array) for array in trained()])
    for number, last in enumerate([np.array(-1), np.array([1, 2]), np.array(0.5), np.array("x")]):
        parts = [("round.npy", npy(last), {}), *((f"weights/{n}", c, {}) for n, c, _ in whole)]
        corpus[f"a round that is none: {number}"] = {**good(), "checkpoint.npz": zipped(parts)}
    return Judged(corpus, generate, judge, (error,), clean)


def as_json(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value).encode()
