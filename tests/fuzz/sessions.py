"""What follows a session's rounds: the kinds `told of privacy` and `resumed`."""

import json
import math
import re
from pathlib import Path
from random import Random
from typing import Any

from fednkit.data import seed
from fednkit.project.console import console
from fednkit.project.errors import ProjectError
from fednkit.sessions import display, resume, rounds
from fednkit.sessions._live import LiveTable, Progress
from fednkit.sessions.budget import Spending
from fuzz.kinds import Target, WrongError
from fuzz.mutation import (
    NUMBERS_OF_JSON,
    ODD_JSON,
    ODD_TEXTS,
    ODD_VALUES,
    as_text,
    mangled,
    odd_text,
)
from fuzz.updates import META, PRIVACY, message, plainly_told

# The message of an update, as FEDn's API hands it out; a site may also have sent none.
Message = str | None


def status(metadata: Any) -> str:
    return json.dumps({"modelId": "1", "meta": message(metadata)})


def check_report(text: Message, report: dict[str, Any]) -> None:
    """Raise `WrongError` unless a report of privacy is what the message says."""
    if not report:
        return
    plain = plainly_told(json.loads(text or "")["meta"])["privacy"]
    for name in {*rounds.PRIVACY_NUMBERS, "safe_updates"} & report.keys():
        value = report[name]
        number = type(value) in (int, float) and math.isfinite(float(value))
        if not (value is None or (number and value == plain[name])):
            raise WrongError(f"took {value!r} for {plain[name]!r}")
    if (report["exhausted"] is True) != (plain["exhausted"] is True):
        raise WrongError(f"took {report['exhausted']} for {plain['exhausted']}")


def judge_privacy(case: list[Message]) -> bool:
    """Read what sites report of their privacy, and sum it up; return whether all was accepted."""
    reports = {f"site-{n}": rounds._privacy_report({"data": text}) for n, text in enumerate(case)}
    for text, report in zip(case, reports.values(), strict=True):
        rounds._trained_from(text)  # type: ignore[arg-type]
        rounds._round_id(text)  # type: ignore[arg-type]
        check_report(text, report)
    result = rounds.Round(2, finished=True)
    rounds.add_privacy(result, reports)
    said: list[str] = []
    spending = Spending(said.append)
    record: dict[str, Any] = {}
    over = spending.over(result, record)
    said.append(spending.summary())
    everybody = bool(reports) and all(one.get("exhausted") for one in reports.values())
    if over != everybody or over != ("ended" in record):
        raise WrongError(f"is over: {over}")
    if any(not text.isprintable() for text in said):
        raise WrongError(f"says {said}")
    json.dumps(result.privacy, allow_nan=False)
    return all(reports.values())


def odd_statuses(random: Random) -> list[Message]:
    texts: list[Message] = []
    for _ in range(3):
        value: Any = dict(PRIVACY)
        for _ in range(random.randrange(3)):
            value = mangled(random, value)
        if isinstance(value, dict) and random.random() < 0.3:
            value[random.choice(list(PRIVACY))] = random.choice(NUMBERS_OF_JSON)
        whole: Any = {"modelId": "1", "meta": message({"privacy": value})}
        if random.random() < 0.2:
            whole = mangled(random, whole)
        texts.append(odd_text(random, whole))
    return texts


def privacy(scratch: Path) -> Target:
    """Take what sites tell of their privacy with their updates, and sum it up."""
    plain = status(META)
    tried: dict[str, list[Message]] = {"nobody": [], "no text": [None, plain]}
    tried["good"] = [plain] * 3
    tried["a message of 15 MB"] = [status({**META, "more": "x" * (15 << 20)}), plain]
    for name, text in ODD_TEXTS.items():
        tried[f"a status: {name}"] = [text, plain]
        tried[f"a message: {name}"] = [json.dumps({"meta": text}), plain]
        inner = f'{{"training_metadata": {{"privacy": {text}}}}}'
        tried[f"privacy: {name}"] = [json.dumps({"meta": inner}), plain]
    for number, value in enumerate(ODD_VALUES):
        for name in PRIVACY:
            changed = status({**META, "privacy": {**PRIVACY, name: value}})
            tried[f"{name}: {number}"] = [changed, plain]
    return Target(tried, ["good"], odd_statuses, judge_privacy)


ROUNDS: list[dict[str, Any]] = [
    {
        "number": number, "finished": True, "model_id": f"model-{number}", "updates": 2,
        "seconds": 1.5, "cause": "", "unusable": {"site-2": "expected JSON"},
        "sites": {"site-1": {"auc": 0.9, "num_examples": 30}, "site-2": {"auc": None}},
        "privacy": {"site-1": PRIVACY}, "used_up": False, "mean": {"auc": 0.9},
        "outcome": {"refused": {"site-2": "array 0 holds NaN"}, "clipped": ["site-1"]},
    }
    for number in (1, 2)
]  # fmt: skip
OPTIONS: dict[str, Any] = {
    "sites": None, "rounds": 5, "aggregator": "fedavg", "norm_bound": None, "tolerate": None,
    "server_optimizer": "adam", "server_learning_rate": 0.01, "round_timeout": 180.0,
    "resume": None, "seed": 0,
}  # fmt: skip
RECORD: dict[str, Any] = {"archive_sha256": "0" * 64, "options": OPTIONS, "rounds": ROUNDS}


def records() -> dict[str, bytes]:
    tried: dict[str, Any] = {"a good run": RECORD}
    for number, value in enumerate(ODD_VALUES):
        for name in OPTIONS:
            tried[f"{name}: {number}"] = {**RECORD, "options": {**OPTIONS, name: value}}
        options = {**OPTIONS, str(value): value}
        tried[f"an option: {number}"] = {**RECORD, "options": options}
        for name in ROUNDS[0]:
            for odd in (value, {"site-1": value}):
                last = {**ROUNDS[1], name: odd}
                what = f"{name} {isinstance(odd, dict)}: {number}"
                tried[what] = {**RECORD, "rounds": [ROUNDS[0], last]}
    return ODD_JSON | {name: json.dumps(record).encode() for name, record in tried.items()}


def odd_record(random: Random) -> bytes:
    value: Any = RECORD
    part = random.choice(["rounds", "options", None])
    for _ in range(random.randint(0, 2)):
        if part and isinstance(value, dict) and part in value:
            value = {**value, part: mangled(random, value[part])}
        else:
            value = mangled(random, value)
    return as_text(random, value)


def resumed(scratch: Path) -> Target:
    """Read the metrics.json of the run that --resume goes on with, and write it again."""
    # The model beside it is of the kind `model`.
    seed.check = lambda file: None
    folder = scratch / "in"

    def judge(case: bytes) -> bool:
        folder.mkdir()
        (folder / "metrics.json").write_bytes(case)
        (folder / "model.npz").touch()
        asked = resume.RecordedOptions(resume=folder)
        options, found = resume.before(asked)
        plain = json.loads(case)
        kept = [entry for entry in plain["rounds"] if entry["finished"]]
        sites = [one.get("sites", {}) for one in kept]
        # What is not defined, as NaN is not, becomes None.
        if [one.sites for one in found] != sites and not re.search("nan|inf", str(kept)):
            raise WrongError(f"took {found}")
        if options.rounds != int(plain["options"]["rounds"]) or options.resume != folder:
            raise WrongError(f"took {options}")
        if [one.number for one in found] != list(range(1, len(kept) + 1)):
            raise WrongError("took other numbers")
        resume.note(folder, found, {"options": resume.plain(options)})
        resume.before(asked)
        with console.capture():
            display.show_table(found, 2)
            for one in found:
                display.show_round(one, 2)
            live = LiveTable(options.rounds, found)
            known = {site for one in found for site in one.sites}
            # Without a result, the metrics are those of `found`.
            live.update(Progress(len(found) + 1, 0.0, 60.0, known, known, set()))
            console.print(live.render(1.0, 24))
        return True

    return Target(records(), ["a good run"], odd_record, judge, (ProjectError,))
