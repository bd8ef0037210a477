"""Check records that others wrote: the metrics that sites send, and the folders of runs.

A site may send anything as its metrics, and a run's folder may be a colleague's. What is wrong in
them is told, and reaches neither the arithmetic, nor the terminal, nor the page.
"""

import argparse
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

Metrics = dict[str, float | None]

# Bytes of the metrics that a site sends, of a run's configuration, and of its rounds.
SENT, CONFIGURED, ROUNDS = 1 << 16, 1 << 24, 1 << 28
# Metrics that a model has; characters of a metric's name, and of another text, such as a path.
MANY, LONG, LONG_TEXT = 100, 80, 1000
# Beyond it, sums over sites would leave float64.
FURTHEST = 1e30


class RecordError(Exception):
    """What is wrong with a record, in a few words."""


def sent_metrics(text: Any) -> Metrics:
    """Return the metrics that a site sent as JSON. Raises `RecordError`.

    What is not defined, as NaN is not, becomes None. "num_examples" is a whole number above 0.
    """
    if not isinstance(text, str) or len(text) > SENT:
        raise RecordError(f"expected a text of up to {SENT:,} characters")
    metrics = _metrics(_loaded(text))
    count = metrics.get("num_examples", 1)
    if type(count) is not int or not 0 < count < 1e12:
        raise RecordError("num_examples: expected a whole number above 0")
    return metrics


def configuration(path: Path) -> dict[str, Any]:
    """Return what a run's config.json holds. Raises `RecordError`, and `OSError`."""
    config = _loaded(_text(path, CONFIGURED))
    options = _entry(config, "options", dict)
    for name, value in options.items():
        _name(name)
        _scalar(value, f"options: {name}")
    for name in ("attack_strength", "norm_bound"):
        _number(options.get(name), f"options: {name}")
    metric = options.get("metric")
    if metric is not None:
        _name(metric)
    _scalar(_entry(config, "archive_sha256", str), "archive_sha256")
    for name, version in _entry(config, "versions", dict).items():
        _name(name)
        _scalar(_is(version, str, "versions"), f"versions: {name}")
    if "privacy" in config:
        terms = _entry(config, "privacy", dict)
        for name in ("noise", "clip", "budget", "delta"):
            _number(_entry(terms, name, float, int), f"privacy: {name}")
    rows = _entry(config, "class_counts", list)
    for row in rows:
        for count in _is(row, list, "class_counts"):
            _whole(count, "class_counts")
    if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise RecordError("class_counts: expected as many classes at every site")
    return config  # type: ignore[no-any-return]


def options(
    config: dict[str, Any], add_options: Callable[[argparse.ArgumentParser], None]
) -> argparse.Namespace:
    """Return the options of a run's configuration, as its command would read them once more.

    add_options: declares the command's options. Raises `RecordError` for what it would refuse.
    """
    parser = _Strict(add_help=False, allow_abbrev=False)
    add_options(parser)
    words = []
    for name, value in config["options"].items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [f"{flag}={item}" for item in (value if isinstance(value, list) else [value])]
    return parser.parse_args(words)


class _Strict(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RecordError(f"options: {message}")


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rounds of a run's metrics.jsonl, the seed model's first.

    A last line that is cut short, by a process that was killed, is left out. Raises
    `RecordError`, and `OSError`.
    """
    expected: list[str] | None = None
    for number, text in enumerate(_text(path, ROUNDS).split("\n")):
        try:
            line = _loaded(text)
        except RecordError:
            return
        try:
            if _whole(_entry(line, "round", int), "round") != number:
                raise RecordError(f"round: expected {number}, found {line['round']}")
            for name in ("clients", "dropped", "late"):
                for client in _entry(line, name, list):
                    _whole(client, name)
            _entry(line, "failed", dict)
            _settled(line)
            # Nothing is sent for the seed model.
            _whole(line["bytes"] if number or "bytes" in line else 0, "bytes")
            _positive(_entry(line, "seconds", int, float), "seconds")
            line["global"] = _metrics(_entry(line, "global", dict))
            line["each"] = [_alike(_metrics(one), line) for one in _entry(line, "each", list)]
            if expected not in (None, list(line["global"])) or not line["global"]:
                raise RecordError("global: expected the metrics of the round before")
        except (RecordError, KeyError) as error:
            raise RecordError(f"line {number + 1}: {error}") from None
        expected = list(line["global"])
        yield line


def _settled(line: dict[str, Any]) -> None:
    """Check what a round's line says of bad clients (see outcomes.py) and of privacy."""
    for name in ("attackers", "clipped", "passed_over", "exhausted"):
        for client in _is(line.get(name, []), list, name):
            _whole(client, name)
    for client, why in _is(line.get("refused", {}), dict, "refused").items():
        if not re.fullmatch("[0-9]{1,15}", client):
            raise RecordError("refused: expected the numbers of clients")
        _scalar(_is(why, str, "refused"), "refused")
    _scalar(_is(line.get("stays", ""), str, "stays"), "stays")
    if "privacy" in line:
        privacy = _entry(line, "privacy", dict)
        _number(privacy["epsilon"], "privacy: epsilon")
        for name in ("charged", "exhausted"):
            for client in _entry(privacy, name, list):
                _whole(client, f"privacy: {name}")


def baselines(path: Path, last: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's baselines.json holds; it must fit the last round's line.

    Raises `RecordError`, and `OSError`.
    """
    known = _loaded(_text(path, ROUNDS))
    central = [_alike(_metrics(one), last) for one in _entry(known, "central", list)]
    if not central:
        raise RecordError("central: expected a round, found none")
    alone = []
    for one in _entry(known, "alone", list):
        client = _whole(_entry(one, "client", int), "client")
        if client >= len(last["each"]):
            raise RecordError(f"client: expected one of {len(last['each'])}, found {client}")
        kinds = {kind: _metrics(_entry(one, kind, dict)) for kind in ("everywhere", "own")}
        alone.append({"client": client, **{k: _alike(v, last) for k, v in kinds.items()}})
    return {"central": central, "alone": alone}


def _text(path: Path, most: int) -> str:
    if (size := path.stat().st_size) > most:
        raise RecordError(f"{path.name}: expected up to {most:,} bytes, found {size:,}")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise RecordError(f"{path.name}: expected UTF-8") from None


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"expected JSON, found none: {error}") from None


def _metrics(value: Any) -> Metrics:
    metrics: Metrics = {}
    for name, number in _is(value, dict, "metrics").items():
        _name(name)
        if number is None:
            metrics[name] = None
        elif type(number) not in (int, float):
            raise RecordError(f"{name}: expected a number, found {type(number).__name__}")
        # Written so that NaN, which is no larger than anything, is None as well.
        elif not abs(number) <= FURTHEST:
            if number not in (math.inf, -math.inf) and number == number:
                raise RecordError(f"{name}: expected a number up to {FURTHEST:g}")
            metrics[name] = None
        else:
            metrics[name] = number
    if len(metrics) > MANY:
        raise RecordError(f"expected up to {MANY} metrics, found {len(metrics)}")
    return metrics


def _alike(metrics: Metrics, last: dict[str, Any]) -> Metrics:
    if missing := [name for name in last["global"] if name not in metrics]:
        raise RecordError(f"expected the metric '{missing[0]}'")
    return metrics


def _name(value: Any) -> str:
    """Check that a name means nothing to a terminal, to HTML, and to what draws figures."""
    text = str(_is(value, str, "a name"))
    if not 0 < len(text) <= LONG or not text.isprintable() or set("<>&[]\"'`\\") & set(text):
        raise RecordError(f"expected a plain name of up to {LONG} characters, found {text!r}")
    return text


def _scalar(value: Any, where: str) -> None:
    for item in value if isinstance(value, list) else [value]:
        if item is not None and not isinstance(item, str | int | float):
            raise RecordError(f"{where}: expected a text or a number, found {type(item).__name__}")
        if isinstance(item, str) and (len(item) > LONG_TEXT or not item.isprintable()):
            raise RecordError(f"{where}: expected a text of up to {LONG_TEXT} printable characters")


def _entry(value: Any, key: str, *kinds: type) -> Any:
    found = _is(value, dict, "the record").get(key)
    if type(found) not in kinds:
        raise RecordError(f"{key}: expected {kinds[0].__name__}, found {type(found).__name__}")
    return found


def _is(value: Any, kind: type, where: str) -> Any:
    if type(value) is not kind:
        raise RecordError(f"{where}: expected {kind.__name__}, found {type(value).__name__}")
    return value


def _whole(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise RecordError(f"{where}: expected a whole number from 0")
    return value


def _number(value: Any, where: str) -> None:
    if value is not None and (type(value) not in (int, float) or not abs(value) <= FURTHEST):
        raise RecordError(f"{where}: expected a number")


def _positive(value: float, where: str) -> None:
    if not 0 <= value < FURTHEST:
        raise RecordError(f"{where}: expected a number from 0")
