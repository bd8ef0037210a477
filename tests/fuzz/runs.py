"""A run's folder that somebody else made: the kind `run`, which is shown and gone on with."""

import html.parser
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fednkit.project.errors import ProjectError
from fednkit.runs import report
from fednkit.runs.run import Run
from fednkit.simulation import simulate
from fednkit.simulation._setup import Options
from fuzz.arrays import members, npy, odd_members, saved, trained
from fuzz.kinds import Target, WrongError
from fuzz.models import generated
from fuzz.mutation import NUMBERS_OF_JSON, ODD_JSON, ODD_VALUES, TEXTS, as_text, broken, mangled
from fuzz.zips import Member, zipped

METRICS = {"auc": 0.5, "log_loss": 0.7}
CONFIG: dict[str, Any] = {
    "options": {
        "clients": 2, "rounds": 2, "metric": None, "set": ["epochs=1"], "seed": 0, "alpha": 0.5,
        "aggregator": "median", "attack": "sign-flip", "attack_strength": 2.0, "norm_bound": 1.5,
    },
    "privacy": {"noise": 1.0, "clip": 1.0, "budget": 8.0, "delta": 1e-5},
    "archive_sha256": "0" * 64, "versions": {"python": "3.11", "numpy": "2.2.6"},
    "class_counts": [[5, 3], [2, 6]], "examples": [6, 6],
}  # fmt: skip
SETTLED: dict[str, Any] = {
    "attackers": [1], "clipped": [0], "passed_over": [], "exhausted": [0],
    "refused": {"1": "array 0 holds NaN or infinite values"},
    "stays": "the privacy budget of every site is spent",
    "privacy": {"epsilon": 1.5, "charged": [0, 1], "exhausted": [0]},
}  # fmt: skip
LINES: list[dict[str, Any]] = [
    {
        "round": number, "seconds": 0.1, "clients": [0, 1] if number else [],
        "dropped": [], "late": [], "failed": {},
        **({"bytes": 100, **SETTLED} if number else {}),
        "global": METRICS, "each": [METRICS, {"auc": None, "log_loss": 0.1}],
    }
    for number in range(3)
]  # fmt: skip
BASELINES = {
    "central": [METRICS, METRICS],
    "alone": [{"client": client, "everywhere": METRICS, "own": METRICS} for client in (0, 1)],
}
ELEMENTS = (
    "html head meta title link style body main h1 h2 div p b section script span small table thead "
    "tbody tr th td pre"
).split()
# What a run consists of: its files' contents by their names.
Folder = dict[str, bytes]


class Elements(html.parser.HTMLParser):
    """Reads a page as a browser does, and keeps what a page of ours must not have."""

    def __init__(self) -> None:
        super().__init__()
        self.odd: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        if tag not in ELEMENTS or any(name.startswith("on") for name, _ in attrs):
            self.odd.append(f"<{tag} {attrs}>")


def lines(values: list[Any]) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode("utf-8", "surrogatepass")


def good() -> Folder:
    arrays = trained()
    state = {f"weights/{n}": array for n, array in enumerate(arrays)}
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "metrics.jsonl": lines(LINES),
        "baselines.json": json.dumps(BASELINES).encode(),
        "seed.npz": saved({str(n): array for n, array in enumerate(arrays)}),
        "checkpoint.npz": saved({"round": np.array(2), **state, "m/0": arrays[0]}),
    }


def config(**changed: Any) -> Folder:
    """Return a configuration in which some entries are others."""
    return {"config.json": json.dumps({**CONFIG, **changed}).encode()}


def rounds(**changed: Any) -> Folder:
    """Return rounds in which some entries are others, but in the seed model's."""
    return {"metrics.jsonl": lines([LINES[0], *({**line, **changed} for line in LINES[1:])])}


def odd_values() -> Iterator[tuple[str, Folder]]:
    """Yield files with an odd value in one place, by what it is."""
    options, terms = CONFIG["options"], CONFIG["privacy"]
    for number, value in enumerate(ODD_VALUES):
        inner = {"1": value, "epsilon": value, "charged": [value], "exhausted": [value]}
        for name in SETTLED:
            yield f"{name}: {number}", rounds(**{name: value})
            yield f"in {name}: {number}", rounds(**{name: inner})
            yield f"a list in {name}: {number}", rounds(**{name: [value]})
        for name in ("aggregator", "attack", "attack_strength", "norm_bound"):
            yield f"option {name}: {number}", config(options={**options, name: value})
        for name in terms:
            yield f"terms {name}: {number}", config(privacy={**terms, name: value})
    for number, text in enumerate([*TEXTS, *NUMBERS_OF_JSON]):
        for place in ("options", "versions"):
            known = CONFIG[place]
            yield f"{place}: {number}", config(**{place: {**known, "python": text, "name": text}})
            yield f"{place}, a name: {number}", config(**{place: {**known, str(text): "1"}})


def odd_checkpoints(odd: dict[str, list[Member]]) -> Iterator[tuple[str, Folder]]:
    """Yield files of arrays that are none, or of no round, by what they are."""
    for name, parts in odd.items():
        yield f"checkpoint.npz: {name}", {"checkpoint.npz": zipped(parts)}
    yield "seed.npz: an encrypted member", {"seed.npz": zipped(odd["an encrypted member"])}
    weights: list[Member] = [
        (f"weights/{name}", content, {})
        for name, content, _ in members([npy(array) for array in trained()])
    ]
    for number, last in enumerate([np.array(-1), np.array([1, 2]), np.array(0.5), np.array("x")]):
        parts = [("round.npy", npy(last), {}), *weights]
        yield f"a round that is none: {number}", {"checkpoint.npz": zipped(parts)}


def corpus(odd: dict[str, list[Member]]) -> dict[str, Folder]:
    whole = good()
    files = {
        "a good run": {},
        "no options of bad clients": config(options={"clients": 2, "rounds": 2}),
        **dict(odd_values()),
        **dict(odd_checkpoints(odd)),
        **{
            f"{file}: {name}": {file: content}
            for name, content in ODD_JSON.items()
            for file in ("config.json", "metrics.jsonl", "baselines.json")
        },
    }
    found = {name: {**whole, **changed} for name, changed in files.items()}
    for number, text in enumerate([*TEXTS, *NUMBERS_OF_JSON]):
        measured = {"global": {str(text): 0.5}, "each": [{str(text): 0.5}]}
        told = lines([{**line, **measured} for line in LINES])
        found[f"a metric's name: {number}"] = {**config(), "metrics.jsonl": told}
    return found


def odd_folder(random: Random, odd: dict[str, list[Member]]) -> Folder:
    """Return a run of which a file is odd or broken, or is not there."""
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


def check_page(page: str) -> None:
    """Raise `WrongError` unless a page has our own elements alone, and figures in JSON."""
    elements = Elements()
    elements.feed(page)
    # A script of its own for each figure, the library, and what draws them.
    if elements.odd or elements.scripts != page.count('class="figure"') + 2:
        raise WrongError(f"the page has {elements.odd} and {elements.scripts} scripts")
    for text in page.split('<script type="application/json">')[1:]:
        json.loads(text.split("</script>")[0])


def run(scratch: Path) -> Target:
    """Read a run's folder, show it, and take up from its checkpoint."""
    # Plotly itself is large.
    report.plotly_library = lambda: "/* the library */"
    folder = scratch / "in"
    odd = odd_members([npy(array) for array in trained()])

    def judge(case: Folder) -> bool:
        folder.mkdir()
        for name, content in case.items():
            (folder / name).write_bytes(content)
        found = Run.read(folder)
        check_page(report.write_report([found], folder / "report.html").read_text("utf-8"))
        report.write_report([found, found], folder / "report.html")
        found.best()
        first = found.seed()
        weights, _ = found.restore()
        for array in (*first, *weights):
            if array.dtype.kind not in "iuf":
                raise WrongError(f"took {array.dtype}")
        simulate.recorded(found, Options(resume=folder))
        return True

    def generate(random: Random) -> Folder:
        return odd_folder(random, odd)

    return Target(corpus(odd), ["a good run"], generate, judge, (ProjectError,))
