"""What sites send into a round: the kinds `update`, `told`, and `resumed`, which comes after it."""

import argparse
import importlib
import json
import logging
import math
import queue
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np

from fuzz.archives import squeezed, zipped
from fuzz.jsons import rounds_without_fedn
from fuzz.kinds import Judged, WrongError
from fuzz.models import LIKE, corpus, generated, npy, numbered, odd_members, saved, trained
from fuzz.mutation import NUMBERS_OF_JSON, ODD_JSON, ODD_VALUES, as_text, hostile, mangled

PRIVACY: dict[str, Any] = {
    "noise": 1.0,
    "clip": 1.0,
    "budget": 8.0,
    "delta": 1e-5,
    "epsilon": 3.5,
    "updates": 2,
    "exhausted": False,
}
META: dict[str, Any] = {"num_examples": 40, "epochs": 1, "privacy": PRIVACY}
RULES = ("fedavg", "median", "trimmed-mean", "krum", "multi-krum")
DEFENCES: list[dict[str, Any] | None] = [
    None,
    *(
        {"aggregator": rule, "norm_bound": bound, "tolerate": 0.2}
        for rule in RULES
        for bound in (None, 0.5)
    ),
]
# What the sites send, the file and the message of each; and the defence.
Sent = tuple[list[tuple[bytes, str]], dict[str, Any] | None]


def message(metadata: Any) -> str:
    """Return an update's message in JSON."""
    return json.dumps({"training_metadata": metadata, "processing_time": 0.1})


class Updates:
    """FEDn's handler of updates, as far as the hooks use it."""

    def __init__(self, sent: list[tuple[bytes, str]]) -> None:
        self.model_updates: queue.Queue[Any] = queue.Queue()
        self.contents = [content for content, _ in sent]
        for number, (_, meta) in enumerate(sent):
            sender = SimpleNamespace(name=f"site-{number + 1}")
            update = SimpleNamespace(sender=sender, meta=meta, model_update_id=number)
            self.model_updates.put(update)

    def load_model_update_bytesIO(self, number: int) -> BytesIO:  # noqa: N802
        """Return the bytes of an update."""
        return BytesIO(self.contents[number])

    def delete_model(self, update: Any) -> None:
        """Forget an update."""


def hooks_without_fedn() -> Any:
    """Import `federation.hooks`, with stand-ins for what of FEDn it imports and does not use."""
    for name in ("fedn", "fedn.utils"):
        sys.modules.setdefault(name, SimpleNamespace())  # type: ignore[arg-type]
    sys.modules["fedn.utils.parameters"] = SimpleNamespace(Parameters=dict)  # type: ignore[assignment]
    return importlib.import_module("federation.hooks")


def update(project: Path, scratch: Path) -> Judged:
    """Take a round's updates as the embedded server does, and make the next model of them."""
    hooks: Any = hooks_without_fedn()
    mean: Callable[..., Any] = importlib.import_module("federation.defences").mean
    logging.getLogger("fedn").addHandler(logging.NullHandler())
    received = [array * np.float32(0.5) for array in trained()]
    before = saved(numbered(received))

    def judge(case: Sent) -> bool:
        sent, defence = case
        handler = Updates(sent)

        def combine_models(**_: Any) -> tuple[Any, dict[str, Any]]:
            updates, examples = [], []
            while not handler.model_updates.empty():
                one = handler.model_updates.get()
                updates.append(plainly_read(sent[one.model_update_id][0]))
                examples.append(plainly_told(one.meta)["num_examples"])
            return mean(updates, examples), {}

        aggregator = SimpleNamespace(combine_models=combine_models)
        hook = hooks.Hooks(SimpleNamespace(update_handler=handler, aggregator=aggregator))
        hook.defence = defence
        model, _ = hook.aggregate(BytesIO(before), handler, None, True)
        standing = json.loads(hook.config["client_settings"]["standing"])
        if any(not 0 < len(cause) < 1000 for cause in standing.get("refused", {}).values()):
            raise WrongError(f"refused with {standing}")
        names = [f"site-{number + 1}" for number in range(len(sent))]
        left_out = {*standing.get("refused", {}), *standing.get("exhausted", [])}
        taken = [n for n, name in enumerate(names) if name not in left_out]
        arrays = [plainly_read(sent[n][0]) for n in taken]
        told = [plainly_told(sent[n][1]) for n in taken]
        for one, metadata in zip(arrays, told, strict=True):
            if [(a.shape, a.dtype) for a in one] != [(a.shape, a.dtype) for a in LIKE]:
                raise WrongError("took an update of another form")
            if not all(np.isfinite(a).all() for a in one):
                raise WrongError("took an update that is not finite")
            count = metadata["num_examples"]
            if type(count) is not int or not 0 < count <= 10**10:
                raise WrongError(f"took an update of {count} examples")
        for name in standing.get("exhausted", []):
            privacy = plainly_told(sent[names.index(name)][1])["privacy"]
            if privacy["exhausted"] is not True:
                raise WrongError(f"took {privacy} for exhausted")
        if model is None:
            if taken or "stays" in standing:
                raise WrongError(f"made no model, {standing}")
            return False
        if [(a.shape, a.dtype) for a in model] != [(a.shape, a.dtype) for a in LIKE]:
            raise WrongError("made a model of another form")
        if not all(np.isfinite(array).all() for array in model):
            raise WrongError("made a model that is not finite")
        if "stays" in standing:
            if not all(map(np.array_equal, model, received)):
                raise WrongError("changed a model that stays")
        elif defence in (None, DEFENCES[1]):
            total = sum(one["num_examples"] for one in told)
            for place, array in enumerate(model):
                exact = sum(
                    one[place].astype(np.float64) * metadata["num_examples"] / total
                    for one, metadata in zip(arrays, told, strict=True)
                )
                largest = max(float(np.abs(one[place]).max()) for one in arrays)
                if not np.abs(array - exact).max() <= 1e-4 * largest:
                    raise WrongError("made another model than the mean")
        return not left_out

    good = saved(numbered(trained()))
    odd = odd_members([npy(array) for array in trained()])
    honest = [(good, message(META))] * 4

    def generate(random: Random) -> Sent:
        sent = [(saved(numbered(trained(random))), message(META)) for _ in range(5)]
        for _ in range(random.choice([0, 1, 1, 2, 5])):
            place = random.randrange(5)
            content, meta = sent[place]
            match random.randrange(5):
                case 0:
                    content = generated(random, odd)
                case 1:
                    size = random.choice([1e10, 1e30, 3e38])
                    arrays = [np.sign(array) * np.float32(size) for array in trained(random)]
                    content = saved(numbered(arrays))
                case 2:
                    whole = mangled(random, {"training_metadata": META})
                    meta = as_text(random, whole).decode("utf-8", "replace")
                case 3:
                    meta = message({**META, "privacy": hostile(random)})
                case 4:
                    spent = {**PRIVACY, "exhausted": random.choice([True, True, *NUMBERS_OF_JSON])}
                    meta = message({**META, "privacy": spent})
            sent[place] = content, meta
        return sent[: random.randint(1, 5)], random.choice(DEFENCES)

    tried: dict[str, Sent] = {"nothing was sent": ([], None)}
    for name, content in corpus().items():
        tried[f"a file, {name}"] = ([(content, message(META)), *honest], None)
    tried["a bomb that claims to be small"] = ([(small(), message(META))], None)
    for name, text in ODD_JSON.items():
        meta = text.decode("utf-8", "replace")
        tried[f"a message: {name}"] = ([(good, meta), *honest], None)
        meta = f'{{"training_metadata": {meta}}}'
        tried[f"metadata: {name}"] = ([(good, meta), *honest], None)
        meta = f'{{"training_metadata": {{"num_examples": {text.decode("utf-8", "replace")}}}}}'
        tried[f"examples in metadata: {name}"] = ([(good, meta), *honest], None)
    for number, value in enumerate(ODD_VALUES):
        for place in ("num_examples", "privacy"):
            meta = message({**META, place: value})
            tried[f"{place}: {number}"] = ([(good, meta), *honest], None)
        meta = message({**META, "privacy": {**PRIVACY, "exhausted": value}})
        tried[f"exhausted: {number}"] = ([(good, meta), *honest], None)
    largest = [np.full(array.shape, np.finfo(np.float32).max) for array in LIKE]
    for sign in (-1, 1):
        huge = (saved(numbered([array * np.float32(sign) for array in largest])), message(META))
        for number, defence in enumerate(DEFENCES):
            tried[f"finite but huge, {sign}, defence {number}"] = ([huge, *honest], defence)
            other = (saved(numbered([array * np.float32(-sign) for array in largest])), huge[1])
            tried[f"huge both ways, {sign}, defence {number}"] = ([huge, other, *honest], defence)
    for number, defence in enumerate(DEFENCES):
        tried[f"honest, defence {number}"] = ([*honest, honest[0]], defence)
        spent = message({**META, "privacy": {**PRIVACY, "exhausted": True}})
        tried[f"all budgets are spent, defence {number}"] = ([(good, spent)] * 5, defence)
    for name, one in tried.items():
        if name.startswith("honest") and not judge(one):
            raise WrongError("refused what is good")
    return Judged(tried, generate, judge, ())


def small() -> bytes:
    """Return an update of 32 MB, packed by bzip2, that claims to be small."""
    content = squeezed(npy(LIKE[0]) + bytes(32 << 20), zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        entry = archive.infolist()[0]
    start = 30 + len(entry.filename)
    packed = content[start : start + entry.compress_size]
    return zipped([("0.npy", packed, {"method": zipfile.ZIP_BZIP2, "size": 176})])


def plainly_read(content: bytes) -> list[Any]:
    """Return what numpy's own reader finds in an update."""
    with np.load(BytesIO(content), allow_pickle=False) as archive:
        return [archive[str(n)] for n in range(len(archive.files))]


def plainly_told(text: str) -> dict[str, Any]:
    """Return an update's metadata."""
    return json.loads(text)["training_metadata"]  # type: ignore[no-any-return]


def told(project: Path, scratch: Path) -> Judged:
    """Take what sites tell of their privacy with their updates, and sum it up."""
    rounds: Any = rounds_without_fedn()
    budgets: Any = importlib.import_module("federation.budgets")
    said: list[str] = []

    def judge(case: list[Any]) -> bool:
        said.clear()
        senders = {f"site-{n}": budgets.told({"data": text}) for n, text in enumerate(case)}
        for text, one in zip(case, senders.values(), strict=True):
            rounds._trained_from(text)
            if one:
                plain = plainly_told(json.loads(text)["meta"])["privacy"]
                for name in budgets.NUMBERS:
                    value = one.get(name)
                    number = type(value) in (int, float) and math.isfinite(float(value))
                    if name in one and not (value is None or (number and value == plain[name])):
                        raise WrongError(f"took {value!r} for {plain[name]!r}")
                if (one["exhausted"] is True) != (plain["exhausted"] is True):
                    raise WrongError(f"took {one['exhausted']} for {plain['exhausted']}")
        result = rounds.Round(2, finished=True)
        rounds._add_privacy(result, senders)
        spent = budgets.Spent(said.append)
        record: dict[str, Any] = {}
        over = spent.over(result, record)
        said.append(spent.summary())
        everybody = bool(senders) and all(one.get("exhausted") for one in senders.values())
        if over != everybody or over != ("ended" in record):
            raise WrongError(f"is over: {over}")
        if any(not text.isprintable() for text in said):
            raise WrongError(f"says {said}")
        json.dumps(result.privacy, allow_nan=False)
        return all(senders.values())

    def text_of(metadata: Any) -> str:
        return json.dumps({"modelId": "1", "meta": message(metadata)})

    def generate(random: Random) -> list[Any]:
        texts = []
        for _ in range(3):
            value: Any = dict(PRIVACY)
            for _ in range(random.randrange(3)):
                value = mangled(random, value)
            if isinstance(value, dict) and random.random() < 0.3:
                value[random.choice(list(PRIVACY))] = random.choice(NUMBERS_OF_JSON)
            whole: Any = {"modelId": "1", "meta": message({"privacy": value})}
            if random.random() < 0.2:
                whole = mangled(random, whole)
            texts.append(as_text(random, whole).decode("utf-8", "replace"))
        return texts

    plain = text_of(META)
    tried: dict[str, list[Any]] = {"good": [plain] * 3, "no text": [None, plain], "nobody": []}
    for name, content in ODD_JSON.items():
        text = content.decode("utf-8", "replace")
        tried[f"a status: {name}"] = [text, plain]
        tried[f"a message: {name}"] = [json.dumps({"meta": text}), plain]
        inner = f'{{"training_metadata": {{"privacy": {text}}}}}'
        tried[f"privacy: {name}"] = [json.dumps({"meta": inner}), plain]
    for number, value in enumerate(ODD_VALUES):
        for name in PRIVACY:
            changed = text_of({**META, "privacy": {**PRIVACY, name: value}})
            tried[f"{name}: {number}"] = [changed, plain]
    if not judge([plain] * 3):
        raise WrongError("refused what is good")
    return Judged(tried, generate, judge, ())


ROUNDS: list[dict[str, Any]] = [
    {
        "number": number,
        "finished": True,
        "model_id": f"model-{number}",
        "updates": 2,
        "seconds": 1.5,
        "sites": {"site-1": {"auc": 0.9, "num_examples": 30}, "site-2": {"auc": None}},
        "cause": "",
        "unusable": {"site-2": "expected JSON"},
        "privacy": {"site-1": PRIVACY},
        "used_up": False,
        "standing": {"refused": {"site-2": "array 0 holds NaN"}, "clipped": ["site-1"]},
        "mean": {"auc": 0.9},
    }
    for number in (1, 2)
]
RECORD: dict[str, Any] = {
    "archive_sha256": "0" * 64,
    "options": {
        "sites": None,
        "rounds": 5,
        "aggregator": "fedavg",
        "norm_bound": None,
        "tolerate": None,
        "server_optimizer": "adam",
        "server_learning_rate": 0.01,
        "round_timeout": 180.0,
        "resume": None,
        "seed": 0,
    },
    "rounds": ROUNDS,
}


def resumed(project: Path, scratch: Path) -> Judged:
    """Read the metrics.json of the run that `network --resume` goes on with, and write it again."""
    rounds_without_fedn()
    sys.modules["federation.upload"] = SimpleNamespace()  # type: ignore[assignment]
    resume: Any = importlib.import_module("federation.resume")
    show: Any = importlib.import_module("federation.show")
    declared: Any = importlib.import_module("federation.round_options")
    error: Any = importlib.import_module("federation.project").ProjectError
    # The model beside it is of the kind `model`.
    resume.seed.check = lambda file: None
    resume.model = lambda options: None
    parser = argparse.ArgumentParser()
    resume._declare(parser)
    folder = scratch / "in"

    def judge(case: bytes) -> bool:
        folder.mkdir()
        (folder / "metrics.json").write_bytes(case)
        asked = parser.parse_args([])
        asked.resume = folder
        options, rounds = resume.before(asked)
        declared.check_round_options(options)
        plain = json.loads(case)
        kept = [entry for entry in plain["rounds"] if entry["finished"]]
        sites = [one.get("sites", {}) for one in kept]
        # What is not defined, as NaN is not, becomes None.
        if [one.sites for one in rounds] != sites and not re.search("nan|inf", str(kept)):
            raise WrongError(f"took {rounds}")
        if options.rounds != int(plain["options"]["rounds"]) or options.resume != folder:
            raise WrongError(f"took {options}")
        if [one.number for one in rounds] != list(range(1, len(kept) + 1)):
            raise WrongError("took other numbers")
        resume.note(folder, rounds, {"options": resume.plain(options)})
        resume.before(asked)
        with show.console.capture():
            show.show_table(rounds, 2)
            for one in rounds:
                show.show_round(one, 2)
        return True

    def generate(random: Random) -> bytes:
        value: Any = RECORD
        part = random.choice(["rounds", "options", None])
        for _ in range(random.randint(0, 2)):
            if part and isinstance(value, dict) and part in value:
                value = {**value, part: mangled(random, value[part])}
            else:
                value = mangled(random, value)
        return as_text(random, value)

    tried = dict(ODD_JSON) | {"a good run": json.dumps(RECORD).encode()}
    for number, value in enumerate(ODD_VALUES):
        for name in RECORD["options"]:
            changed = {**RECORD, "options": {**RECORD["options"], name: value}}
            tried[f"{name}: {number}"] = json.dumps(changed).encode()
        changed = {**RECORD, "options": {**RECORD["options"], str(value): value}}
        tried[f"an option: {number}"] = json.dumps(changed).encode()
        for name in ROUNDS[0]:
            for odd in (value, {"site-1": value}):
                changed = {**RECORD, "rounds": [ROUNDS[0], {**ROUNDS[1], name: odd}]}
                tried[f"{name} {isinstance(odd, dict)}: {number}"] = json.dumps(changed).encode()
    judge(tried["a good run"])
    shutil.rmtree(folder)
    return Judged(
        tried, generate, judge, (error,), lambda: shutil.rmtree(folder, ignore_errors=True)
    )
