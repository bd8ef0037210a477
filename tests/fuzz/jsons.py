"""JSON of somebody else's: the kinds `settings`, `schema`, and `site's metrics`."""

import importlib
import json
import math
import sys
from fractions import Fraction
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from fuzz.kinds import Judged, WrongError
from fuzz.mutation import NUMBERS_OF_JSON, ODD_JSON, ODD_VALUES, TEXTS, as_text, hostile, mangled

GOOD_SETTINGS: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 32,
    "learning_rate": 0.01,
    "balance_classes": True,
    "seed": 7,
}


def settings(project: Path, scratch: Path) -> Judged:
    """Read the settings that a server sends, as `train` does."""
    files: Any = importlib.import_module("model.files")
    module: Any = importlib.import_module("model.settings")
    errors: Any = importlib.import_module("model.errors")
    file = scratch / "in"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = module.Settings.override(files.read_json_object(file))
        for name, value in json.loads(case).items():
            if getattr(found, name) != value or type(getattr(found, name)) is type(None):
                raise WrongError(f"took {getattr(found, name)!r} for {value!r}")
        if not (0 < found.learning_rate < math.inf and found.epochs > 0 and found.batch_size > 0):
            raise WrongError(f"took {found}")
        return True

    def generate(random: Random) -> bytes:
        value: Any = dict(random.sample(sorted(GOOD_SETTINGS.items()), random.randint(0, 5)))
        if value and random.random() < 0.4:
            value[random.choice(list(value))] = random.choice([*NUMBERS_OF_JSON, *TEXTS])
        elif random.random() < 0.7:
            value = mangled(random, value)
        return as_text(random, value)

    corpus = dict(ODD_JSON) | {"good settings": json.dumps(GOOD_SETTINGS).encode()}
    for name in GOOD_SETTINGS:
        for number, value in enumerate(ODD_VALUES):
            corpus[f"{name}: {number}"] = json.dumps({name: value}).encode()
    return Judged(corpus, generate, judge, (errors.PackageError,))


def schema(project: Path, scratch: Path) -> Judged:
    """Read a data contract."""
    module: Any = importlib.import_module("model.schema")
    errors: Any = importlib.import_module("model.errors")
    file = scratch / "in"
    good = json.loads((project / "client" / "model" / "schema.json").read_text("utf-8"))
    image = {"name": "x", "type": "array", "dtype": "uint8", "shape": [28, 28]}
    images = {"fields": [image, {"name": "y", "constraints": {"enum": [0, 1]}}], "label": "y"}

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = module.Schema.read(file)
        value = json.loads(case)
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
        value: Any = random.choice([good, good, images])
        for _ in range(random.randrange(4)):
            value = mangled(random, value)
        return as_text(random, value)

    corpus = dict(ODD_JSON) | {
        "a good schema": json.dumps(good).encode(),
        "a good schema of images": json.dumps(images).encode(),
    }
    places = ("name", "type", "constraints", "scale", "shape", "dtype")
    for place in places:
        for number, value in enumerate([*ODD_VALUES, [[]], [2**62], {"a": 1}]):
            odd = {**images, "fields": [{**image, place: value}, images["fields"][1]]}
            corpus[f"{place}: {number}"] = json.dumps(odd).encode()
            for inner in ("minimum", "maximum", "enum", "center", "spread"):
                field = {"name": "a", "type": "number", "constraints": {inner: value}}
                field |= {"scale": {inner: value}}
                odd = {"fields": [field, *images["fields"]], "label": "y"}
                corpus[f"{inner}: {number}"] = json.dumps(odd).encode()
    return Judged(corpus, generate, judge, (errors.PackageError,))


def sent(project: Path, scratch: Path) -> Judged:
    """Take the metrics that sites send, and make one figure of each."""
    records: Any = importlib.import_module("federation.records")
    show: Any = importlib.import_module("federation.show")
    rounds: Any = rounds_without_fedn()
    good = {"auc": 0.91, "recall": None, "num_examples": 300}

    def judge(case: list[str]) -> bool:
        sites = {}
        for number, text in enumerate(case):
            try:
                sites[f"site-{number}"] = records.sent_metrics(text)
            except records.RecordError as error:
                sites[f"site-{number}"] = {}
                if len(str(error)) > 10_000:
                    raise WrongError("too long a cause") from None
        found = rounds.Round(1, finished=True, sites=sites).mean()
        for name, mean in found.items():
            pairs = [
                (Fraction(one[name]), one.get("num_examples") or 1)
                for one in sites.values()
                if one.get(name) is not None
            ]
            total = sum(weight for _, weight in pairs)
            if (mean is None) != (not pairs):
                raise WrongError(f"{name}: took {mean}")
            if pairs:
                exact = float(sum(value * weight for value, weight in pairs) / total)
                largest = max(abs(float(value)) for value, _ in pairs)
                if not abs(mean - exact) <= 1e-9 * largest:
                    raise WrongError(f"{name}: took {mean}, expected {exact}")
            text = show.number(mean)
            if not text.isprintable():
                raise WrongError(f"shows {text!r}")
        json.dumps(found, allow_nan=False)
        return any(sites.values())

    def generate(random: Random) -> list[str]:
        texts = []
        for _ in range(3):
            value: Any = dict(good)
            for _ in range(random.randrange(3)):
                value = mangled(random, value)
            if isinstance(value, dict) and random.random() < 0.3:
                value["num_examples"] = random.choice([*NUMBERS_OF_JSON, hostile(random)])
            text = as_text(random, value).decode("utf-8", "replace")
            texts.append(text)
        return texts

    plain = json.dumps(good)
    corpus: dict[str, list[Any]] = {
        name: [text.decode("utf-8", "replace"), plain] for name, text in ODD_JSON.items()
    }
    corpus |= {"no text": [None, plain], "bytes": [b"{}", plain], "good metrics": [plain] * 3}
    for number, value in enumerate(ODD_VALUES):
        corpus[f"a metric: {number}"] = [json.dumps({**good, "auc": value}), plain]
        corpus[f"examples: {number}"] = [json.dumps({**good, "num_examples": value}), plain]
        corpus[f"a name: {number}"] = [json.dumps({str(value): 0.5}), plain]
    return Judged(corpus, generate, judge, ())


def rounds_without_fedn() -> Any:
    """Import `federation.rounds`, with stand-ins for what of FEDn it imports and does not use."""
    sys.modules["fedn"] = SimpleNamespace(APIClient=object)  # type: ignore[assignment]
    sys.modules["federation.controller"] = SimpleNamespace(listed=list)  # type: ignore[assignment]
    return importlib.import_module("federation.rounds")
