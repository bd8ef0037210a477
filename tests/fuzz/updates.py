"""What sites send into a round of the embedded network: the kind `update`."""

import json
import logging
import tempfile
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import fedn.network.grpc.fedn_pb2 as fedn
import numpy as np
from fedn.network.combiner.updatehandler import UpdateHandler
from fedn.utils.helpers.helpers import get_helper

from fednkit.aggregation import robust, server_functions
from fednkit.aggregation.updates import MAX_WEIGHT
from fednkit.network._guard import Guard
from fednkit.network._sites import Sites
from fuzz.arrays import LIKE, npy, numbered, odd_members, saved, trained
from fuzz.kinds import Target, WrongError
from fuzz.models import corpus, generated
from fuzz.mutation import NUMBERS_OF_JSON, ODD_TEXTS, ODD_VALUES, hostile, mangled, odd_text
from fuzz.zips import Member, squeezed, zipped

PRIVACY: dict[str, Any] = {
    "noise": 1.0, "clip": 1.0, "budget": 8.0, "delta": 1e-5,
    "epsilon": 3.5, "updates": 2, "safe_updates": 1, "exhausted": False,
}  # fmt: skip
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
# What a site sends: a file and a message.
Sent = tuple[bytes, str]
# What all sites send, and the defence.
Case = tuple[list[Sent], dict[str, Any] | None]
RECEIVED = [array * np.float32(0.5) for array in trained()]
GOOD = saved(numbered(trained()))
LARGEST = float(np.finfo(np.float32).max)
HELPER = get_helper("numpyhelper")


def message(metadata: Any) -> str:
    return json.dumps({"training_metadata": metadata, "processing_time": 0.1})


# The honest updates of a round are one and the same file.
@lru_cache(maxsize=8)
def plainly_read(content: bytes) -> robust.Weights:
    """Return what numpy's own reader finds in an update."""
    with np.load(BytesIO(content), allow_pickle=False) as archive:
        return [archive[str(n)] for n in range(len(archive.files))]


def plainly_told(text: str) -> dict[str, Any]:
    return json.loads(text)["training_metadata"]  # type: ignore[no-any-return]


def aggregated(case: Case) -> tuple[robust.Weights | None, dict[str, Any]]:
    """Return the next model and the outcome, of a round as the embedded network has it."""
    sent, defence = case
    files = {"global": saved(numbered(RECEIVED))}
    files |= {f"update-{number}": content for number, (content, _) in enumerate(sent)}
    storage = SimpleNamespace(
        get=lambda model_id: BytesIO(files[model_id]),
        discard=lambda model_id: files.pop(model_id),
    )
    models = SimpleNamespace(
        temp_model_storage=storage, owner=lambda model_id: model_id if model_id in files else None
    )
    handler = UpdateHandler(models)
    for number, (_, meta) in enumerate(sent):
        update = fedn.ModelUpdate(
            sender=fedn.Client(name=f"site-{number + 1}", client_id=f"update-{number}"),
            model_id="global",
            model_update_id=f"update-{number}",
            meta=meta,
        )
        handler.model_updates.put(update)
    rounds = SimpleNamespace(
        update_handler=handler, server_functions="", run=None, execute_training_round=None
    )
    guard = Guard(rounds, Sites())
    guard.set_aggregator("fedavg")
    guard.provided_functions(server_functions.text(defence))
    guard._config = {"model_id": "global"}
    model, _ = guard.aggregate(None, handler, HELPER, True)
    outcome = json.loads(guard._config["client_settings"]["outcome"])
    if outcome.get("stays", "").startswith("the updates could not be combined"):
        raise WrongError(f"failed: {outcome}")
    if files.keys() != {"global"}:
        raise WrongError(f"keeps {sorted(files)}")
    return model, outcome


def check_form(weights: robust.Weights, what: str) -> None:
    """Raise `WrongError` unless weights are of the model's form, and finite."""
    if [(a.shape, a.dtype) for a in weights] != [(a.shape, a.dtype) for a in LIKE]:
        raise WrongError(f"{what} of another form")
    if not all(np.isfinite(array).all() for array in weights):
        raise WrongError(f"{what} that is not finite")


def check_outcome(sent: list[Sent], outcome: dict[str, Any]) -> list[Sent]:
    """Return the updates that count by a round's outcome. Raises `WrongError`."""
    refused, exhausted = outcome.get("refused", {}), outcome.get("exhausted", [])
    if any(not 0 < len(cause) < 1000 for cause in refused.values()):
        raise WrongError(f"refused with {outcome}")
    named = {f"site-{number + 1}": one for number, one in enumerate(sent)}
    for name in exhausted:
        privacy = plainly_told(named[name][1])["privacy"]
        if privacy["exhausted"] is not True:
            raise WrongError(f"took {privacy} for exhausted")
    taken = [one for name, one in named.items() if name not in {*refused, *exhausted}]
    for content, meta in taken:
        check_form(plainly_read(content), "took an update")
        count = plainly_told(meta)["num_examples"]
        if type(count) is not int or not 0 < count <= 10**10:
            raise WrongError(f"took an update of {count} examples")
    return taken


def check_mean(model: robust.Weights, taken: list[Sent]) -> None:
    """Raise `WrongError` unless a model is the mean of the updates."""
    arrays = [plainly_read(content) for content, _ in taken]
    examples = [plainly_told(meta)["num_examples"] for _, meta in taken]
    for place, array in enumerate(model):
        exact = sum(
            one[place].astype(np.float64) * count / sum(examples)
            for one, count in zip(arrays, examples, strict=True)
        )
        largest = max(float(np.abs(one[place]).max()) for one in arrays)
        if not np.abs(array - exact).max() <= 1e-4 * largest:
            raise WrongError("made another model than the mean")


def judge(case: Case) -> bool:
    """Make the next model of a round's updates; return whether all of them were accepted."""
    sent, defence = case
    model, outcome = aggregated(case)
    taken = check_outcome(sent, outcome)
    if model is None:
        if taken or "stays" in outcome:
            raise WrongError(f"made no model, {outcome}")
        return False
    check_form(model, "made a model")
    if "stays" in outcome:
        if not all(map(np.array_equal, model, RECEIVED)):
            raise WrongError("changed a model that stays")
    elif defence in (None, DEFENCES[1]):
        check_mean(model, taken)
    return len(taken) == len(sent)


def odd_update(random: Random, content: bytes, meta: str, odd: dict[str, list[Member]]) -> Sent:
    """Return an update with an odd file, or an odd message."""
    match random.randrange(5):
        case 0:
            content = generated(random, odd)
        case 1:
            size = random.choice([1e10, 1e30, 3e38])
            arrays = [np.sign(array) * np.float32(size) for array in trained(random)]
            content = saved(numbered(arrays))
        case 2:
            whole = mangled(random, {"training_metadata": META})
            meta = odd_text(random, whole)
        case 3:
            meta = message({**META, "privacy": hostile(random)})
        case 4:
            spent = {**PRIVACY, "exhausted": random.choice([True, True, *NUMBERS_OF_JSON])}
            meta = message({**META, "privacy": spent})
    return content, meta


def odd_messages() -> Iterator[tuple[str, str]]:
    """Yield messages of every kind by what they are."""
    for name, text in ODD_TEXTS.items():
        yield f"a message: {name}", text
        yield f"metadata: {name}", f'{{"training_metadata": {text}}}'
        inner = f'{{"num_examples": {text}}}'
        yield f"examples in metadata: {name}", f'{{"training_metadata": {inner}}}'
    for number, value in enumerate(ODD_VALUES):
        for place in ("num_examples", "privacy"):
            yield f"{place}: {number}", message({**META, place: value})
        privacy = {**PRIVACY, "exhausted": value}
        yield f"exhausted: {number}", message({**META, "privacy": privacy})


def filled(number: float) -> Sent:
    return saved(numbered([np.full_like(array, number) for array in LIKE])), message(META)


def rounds() -> dict[str, Case]:
    honest = GOOD, message(META)
    tried: dict[str, Case] = {"nothing was sent": ([], None)}
    for name, content in corpus().items():
        tried[f"a file, {name}"] = ([(content, message(META)), *[honest] * 4], None)
    tried["a bomb that claims to be small"] = ([(small(), message(META))], None)
    for name, meta in odd_messages():
        tried[name] = ([(GOOD, meta), *[honest] * 4], None)
    spent = GOOD, message({**META, "privacy": {**PRIVACY, "exhausted": True}})
    for number, defence in enumerate(DEFENCES):
        tried[f"honest, defence {number}"] = ([honest] * 5, defence)
        tried[f"all budgets are spent, defence {number}"] = ([spent] * 5, defence)
        for sign in (-1, 1):
            huge, other = filled(sign * LARGEST), filled(-sign * LARGEST)
            name = f"{sign}, defence {number}"
            tried[f"finite but huge, {name}"] = ([huge, *[honest] * 4], defence)
            tried[f"huge both ways, {name}"] = ([huge, other, *[honest] * 4], defence)
            most, least = filled(sign * MAX_WEIGHT), filled(-sign * MAX_WEIGHT)
            tried[f"as large as may be, {name}"] = ([most, least, *[honest] * 4], defence)
    return tried


def small() -> bytes:
    """Return an update of 32 MB, packed by bzip2, that claims to be small."""
    content = squeezed(npy(LIKE[0]) + bytes(32 << 20), zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        entry = archive.infolist()[0]
    start = 30 + len(entry.filename)
    packed = content[start : start + entry.compress_size]
    return zipped([("0.npy", packed, {"method": zipfile.ZIP_BZIP2, "size": 176})])


def update(scratch: Path) -> Target:
    """Take a round's updates as the embedded network does, and make the next model of them."""
    logging.getLogger("fedn").setLevel(logging.CRITICAL)
    # FEDn reads each update from a file.
    tempfile.tempdir = str(scratch)
    odd = odd_members([npy(array) for array in trained()])

    def generate(random: Random) -> Case:
        sent = [(saved(numbered(trained(random))), message(META)) for _ in range(5)]
        for _ in range(random.choice([0, 1, 1, 2, 5])):
            place = random.randrange(5)
            sent[place] = odd_update(random, *sent[place], odd)
        return sent[: random.randint(1, 5)], random.choice(DEFENCES)

    honest = [f"honest, defence {number}" for number in range(len(DEFENCES))]
    return Target(rounds(), honest, generate, judge)
