"""Check records that others wrote: the metrics that sites send, and the folders of runs.

A site may send anything as its metrics, and a run's folder may be a colleague's. What is wrong in
them is told, and reaches neither the arithmetic, nor the terminal, nor the page.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ._fields import (
    Metrics,
    RecordError,
    as_metrics,
    as_name,
    check_not_negative,
    check_number,
    check_scalar,
    entry,
    of_type,
    parsed,
    read_text,
    whole,
    with_metrics_of,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")

__all__ = [
    "MAX_ROUNDS_BYTES",
    "Metrics",
    "RecordError",
    "baselines",
    "configuration",
    "lines",
    "options",
    "sent_metrics",
]

# Bytes of the metrics that a site sends, of a run's configuration, and of its rounds.
MAX_SENT_BYTES, MAX_CONFIGURATION_BYTES, MAX_ROUNDS_BYTES = 1 << 16, 1 << 24, 1 << 28


def sent_metrics(text: Any) -> Metrics:
    """Return the metrics that a site sent as JSON. Raises `RecordError`.

    What is not defined, as NaN is not, becomes None. "num_examples" is a whole number above 0.
    """
    if not isinstance(text, str) or len(text) > MAX_SENT_BYTES:
        raise RecordError(f"expected a text of up to {MAX_SENT_BYTES:,} characters")
    metrics = as_metrics(parsed(text))
    count = metrics.get("num_examples", 1)
    if type(count) is not int or not 0 < count < 1e12:
        raise RecordError("num_examples: expected a whole number above 0")
    return metrics


def configuration(path: Path) -> dict[str, Any]:
    """Return what a run's config.json holds. Raises `RecordError`, and `OSError`."""
    config = parsed(read_text(path, MAX_CONFIGURATION_BYTES))
    options = entry(config, "options", dict)
    for name, value in options.items():
        as_name(name)
        check_scalar(value, f"options: {name}")
    for name in ("attack_strength", "norm_bound"):
        check_number(options.get(name), f"options: {name}")
    metric = options.get("metric")
    if metric is not None:
        as_name(metric)
    check_scalar(entry(config, "archive_sha256", str), "archive_sha256")
    for name, version in entry(config, "versions", dict).items():
        as_name(name)
        check_scalar(of_type(version, str, "versions"), f"versions: {name}")
    if "privacy" in config:
        terms = entry(config, "privacy", dict)
        for name in ("noise", "clip", "budget", "delta"):
            check_number(entry(terms, name, float, int), f"privacy: {name}")
    rows = entry(config, "class_counts", list)
    for row in rows:
        for count in of_type(row, list, "class_counts"):
            whole(count, "class_counts")
    if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise RecordError("class_counts: expected as many classes at every site")
    return config  # type: ignore[no-any-return]


def options(known: dict[str, Any], kind: type[Options]) -> Options:
    """Return a command's options as a run recorded them.

    Args:
        known: The options by name, out of JSON.
        kind: The command's dataclass, which checks them once more.

    Raises:
        RecordError: An option is unknown, or of another type.
        ProjectError: An option is out of its range.
    """
    if unknown := sorted(known.keys() - {field.name for field in dataclasses.fields(kind)}):
        raise RecordError(f"options: {unknown[0]} is unknown")
    try:
        return msgspec.convert(known, kind, dec_hook=_path)
    except (msgspec.ValidationError, NotImplementedError) as error:
        raise RecordError(f"options: {error}") from None


def _path(kind: type, value: Any) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise ValueError(f"expected the text of a path, found {type(value).__name__}")
    return Path(value)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rounds of a run's metrics.jsonl, the seed model's first.

    A last line that is cut short, by a process that was killed, is left out. Raises
    `RecordError`, and `OSError`.
    """
    expected: list[str] | None = None
    for number, text in enumerate(read_text(path, MAX_ROUNDS_BYTES).split("\n")):
        try:
            line = parsed(text)
        except RecordError:
            return
        try:
            if whole(entry(line, "round", int), "round") != number:
                raise RecordError(f"round: expected {number}, found {line['round']}")
            for name in ("clients", "dropped", "late"):
                for client in entry(line, name, list):
                    whole(client, name)
            entry(line, "failed", dict)
            _settled(line)
            # Nothing is sent for the seed model.
            whole(line["bytes"] if number or "bytes" in line else 0, "bytes")
            check_not_negative(entry(line, "seconds", int, float), "seconds")
            line["global"] = as_metrics(entry(line, "global", dict))
            line["each"] = [
                with_metrics_of(as_metrics(one), line) for one in entry(line, "each", list)
            ]
            if expected not in (None, list(line["global"])) or not line["global"]:
                raise RecordError("global: expected the metrics of the round before")
        except (RecordError, KeyError) as error:
            raise RecordError(f"line {number + 1}: {error}") from None
        expected = list(line["global"])
        yield line


def _settled(line: dict[str, Any]) -> None:
    """Check what a round's line says of bad clients (see outcomes.py) and of privacy."""
    for name in ("attackers", "clipped", "passed_over", "exhausted"):
        for client in of_type(line.get(name, []), list, name):
            whole(client, name)
    for client, why in of_type(line.get("refused", {}), dict, "refused").items():
        if not re.fullmatch("[0-9]{1,15}", client):
            raise RecordError("refused: expected the numbers of clients")
        check_scalar(of_type(why, str, "refused"), "refused")
    check_scalar(of_type(line.get("stays", ""), str, "stays"), "stays")
    if "privacy" in line:
        privacy = entry(line, "privacy", dict)
        check_number(privacy["epsilon"], "privacy: epsilon")
        for name in ("charged", "exhausted"):
            for client in entry(privacy, name, list):
                whole(client, f"privacy: {name}")


def baselines(path: Path, last: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's baselines.json holds; it must fit the last round's line.

    Raises `RecordError`, and `OSError`.
    """
    known = parsed(read_text(path, MAX_ROUNDS_BYTES))
    central = [with_metrics_of(as_metrics(one), last) for one in entry(known, "central", list)]
    if not central:
        raise RecordError("central: expected a round, found none")
    alone = []
    for one in entry(known, "alone", list):
        client = whole(entry(one, "client", int), "client")
        if client >= len(last["each"]):
            raise RecordError(f"client: expected one of {len(last['each'])}, found {client}")
        kinds = {kind: as_metrics(entry(one, kind, dict)) for kind in ("everywhere", "own")}
        alone.append({"client": client, **{k: with_metrics_of(v, last) for k, v in kinds.items()}})
    return {"central": central, "alone": alone}
