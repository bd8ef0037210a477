"""JSON of somebody else's: the kinds `settings`, `schema`, and `site's metrics`."""

import json
import math
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from library import TASK

from fednkit.project import console
from fednkit.runs import records
from fednkit.sessions.rounds import Round
from fednsite.data.schema import Schema
from fednsite.errors import PackageError
from fednsite.files import read_json_object
from fuzz.kinds import Target, WrongError
from fuzz.mutation import (
    NUMBERS_OF_JSON,
    ODD_JSON,
    ODD_TEXTS,
    ODD_VALUES,
    TEXTS,
    as_text,
    hostile,
    mangled,
    odd_text,
)

GOOD_SETTINGS: dict[str, Any] = {
    "epochs": 2, "batch_size": 32, "learning_rate": 0.01, "balance_classes": True, "seed": 7,
    "noise": 1.0, "clip": 2.0, "budget": 8.0, "delta": 1e-5,
}  # fmt: skip


IMAGES: dict[str, Any] = {
    "fields": [
        {"name": "x", "type": "array", "dtype": "uint8", "shape": [28, 28]},
        {"name": "y", "constraints": {"enum": [0, 1]}},
    ],
    "label": "y",
}


def plainly_read(content: bytes) -> Any:
    """Return what Python's own reader finds; keys that stand in it twice are wrong."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise WrongError("took a key that stands in it twice")
        return dict(pairs)

    return json.loads(content, object_pairs_hook=once)


def settings(scratch: Path) -> Target:
    """Read the settings that a server sends, as `train` does."""
    from model.settings import Settings

    file = scratch / "in"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = Settings.override(read_json_object(file))
        for name, value in plainly_read(case).items():
            taken = getattr(found, name)
            # The float that is nearest to a whole number.
            if taken is None or taken != (float(value) if type(taken) is float else value):
                raise WrongError(f"took {taken!r} for {value!r}")
        above_zero = found.learning_rate, found.epochs, found.batch_size, found.clip, found.budget
        if not all(0 < number < math.inf for number in (*above_zero, found.delta)):
            raise WrongError(f"took {found}")
        if not 0 <= found.noise < math.inf or not found.delta < 1:
            raise WrongError(f"took {found}")
        return True

    def generate(random: Random) -> bytes:
        value: Any = dict(random.sample(sorted(GOOD_SETTINGS.items()), random.randint(0, 9)))
        if value and random.random() < 0.4:
            value[random.choice(list(value))] = random.choice([*NUMBERS_OF_JSON, *TEXTS])
        elif random.random() < 0.7:
            value = mangled(random, value)
        return as_text(random, value)

    corpus = dict(ODD_JSON) | {"good settings": json.dumps(GOOD_SETTINGS).encode()}
    for name in GOOD_SETTINGS:
        for number, value in enumerate(ODD_VALUES):
            corpus[f"{name}: {number}"] = json.dumps({name: value}).encode()
    return Target(corpus, ["good settings"], generate, judge, (PackageError,))


def schema(scratch: Path) -> Target:
    """Read a data contract."""
    file = scratch / "in"
    good = json.loads((TASK / "schema.json").read_text("utf-8"))

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = Schema.read(file)
        value = plainly_read(case)
        names = [entry["name"] for entry in value["fields"]]
        if sorted(names) != sorted(field.name for field in (*found.features, found.label)):
            raise WrongError("took other fields than are there")
        if found.label.name != value["label"] or len(found.label.choices) < 2:
            raise WrongError("took another label")
        for field in found.features:
            numbers = field.center, field.spread, field.minimum, field.maximum
            if any(math.isnan(float(number)) for number in numbers) or not field.spread > 0:
                raise WrongError(f"took {field}")
            if not isinstance(field.rule, str) or not 0 < field.width < 1 << 26:
                raise WrongError(f"took {field}")
        return True

    def generate(random: Random) -> bytes:
        value: Any = random.choice([good, good, IMAGES])
        for _ in range(random.randrange(4)):
            value = mangled(random, value)
        return as_text(random, value)

    corpus = dict(ODD_JSON) | odd_schemas()
    corpus["a good schema"] = json.dumps(good).encode()
    good_ones = ["a good schema", "a good schema of images"]
    return Target(corpus, good_ones, generate, judge, (PackageError,))


def odd_schemas() -> dict[str, bytes]:
    """Return a contract of images, and ones that are odd in one place."""
    image, label = IMAGES["fields"]
    found: dict[str, Any] = {"a good schema of images": IMAGES}
    for number, value in enumerate([*ODD_VALUES, [[]], [2**62], {"a": 1}]):
        for place in ("name", "type", "constraints", "scale", "shape", "dtype"):
            found[f"{place}: {number}"] = {**IMAGES, "fields": [{**image, place: value}, label]}
        for place in ("minimum", "maximum", "enum", "center", "spread"):
            said = {"constraints": {place: value}, "scale": {place: value}}
            fields = [{"name": "a", "type": "number", **said}, image, label]
            found[f"{place}: {number}"] = {"fields": fields, "label": "y"}
    return {name: json.dumps(value).encode() for name, value in found.items()}


GOOD_METRICS: dict[str, Any] = {"auc": 0.91, "recall": None, "num_examples": 300}


def check_mean(name: str, mean: float | None, sites: dict[str, records.Metrics]) -> None:
    """Raise `WrongError` unless it is the mean of the sites' metric, of whole numbers exactly."""
    pairs = [
        (Fraction(value), Fraction(one.get("num_examples") or 1))
        for one in sites.values()
        if (value := one.get(name)) is not None
    ]
    if mean is None or not pairs:
        if mean is not None or pairs:
            raise WrongError(f"{name}: took {mean}")
        return
    exact = float(sum(value * weight for value, weight in pairs) / sum(w for _, w in pairs))
    largest = max(abs(float(value)) for value, _ in pairs)
    if not abs(mean - exact) <= 1e-9 * largest:
        raise WrongError(f"{name}: took {mean}, expected {exact}")


def metrics(scratch: Path) -> Target:
    """Take the metrics that sites send, and make one figure of each."""

    def judge(case: list[Any]) -> bool:
        sites: dict[str, records.Metrics] = {}
        for number, text in enumerate(case):
            try:
                sites[f"site-{number}"] = records.sent_metrics(text)
            except records.RecordError as error:
                sites[f"site-{number}"] = {}
                if len(str(error)) > 10_000:
                    raise WrongError("too long a cause") from None
        found = Round(1, finished=True, sites=sites).mean()
        for name, mean in found.items():
            check_mean(name, mean, sites)
            if not (text := console.number(mean)).isprintable():
                raise WrongError(f"shows {text!r}")
        json.dumps(found, allow_nan=False)
        return any(sites.values())

    def generate(random: Random) -> list[str]:
        texts = []
        for _ in range(3):
            value: Any = dict(GOOD_METRICS)
            for _ in range(random.randrange(3)):
                value = mangled(random, value)
            if isinstance(value, dict) and random.random() < 0.3:
                value["num_examples"] = random.choice([*NUMBERS_OF_JSON, hostile(random)])
            texts.append(odd_text(random, value))
        return texts

    plain = json.dumps(GOOD_METRICS)
    corpus: dict[str, list[Any]] = {name: [text, plain] for name, text in ODD_TEXTS.items()}
    corpus |= {"no text": [None, plain], "bytes": [b"{}", plain], "good metrics": [plain] * 3}
    for number, value in enumerate(ODD_VALUES):
        corpus[f"a metric: {number}"] = [json.dumps({**GOOD_METRICS, "auc": value}), plain]
        corpus[f"examples: {number}"] = [
            json.dumps({**GOOD_METRICS, "num_examples": value}),
            plain,
        ]
        corpus[f"a name: {number}"] = [json.dumps({str(value): 0.5}), plain]
    return Target(corpus, ["good metrics"], generate, judge)
