"""Checks of single fields of a record that somebody else wrote."""

import json
import math
from pathlib import Path
from typing import Any

Metrics = dict[str, float | None]

# Metrics that a model has; characters of a metric's name, and of another text, such as a path.
MAX_METRICS, MAX_NAME_CHARACTERS, MAX_TEXT_CHARACTERS = 100, 80, 1000
# Beyond it, sums over sites would leave float64.
MAX_NUMBER = 1e30


class RecordError(Exception):
    """What is wrong with a record, in a few words."""


def read_text(path: Path, most: int) -> str:
    """Return a file of up to `most` bytes. Raises `RecordError`."""
    if (size := path.stat().st_size) > most:
        raise RecordError(f"{path.name}: expected up to {most:,} bytes, found {size:,}")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise RecordError(f"{path.name}: expected UTF-8") from None


def parsed(text: str) -> Any:
    """Return what a text in JSON holds. Raises `RecordError`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"expected JSON, found none: {error}") from None


def as_metrics(value: Any) -> Metrics:
    """Return metrics by name; what is not defined becomes None. Raises `RecordError`."""
    metrics: Metrics = {}
    for name, number in of_type(value, dict, "metrics").items():
        as_name(name)
        if number is None:
            metrics[name] = None
        elif type(number) not in (int, float):
            raise RecordError(f"{name}: expected a number, found {type(number).__name__}")
        # Written so that NaN, which is no larger than anything, is None as well.
        elif not abs(number) <= MAX_NUMBER:
            if number not in (math.inf, -math.inf) and number == number:
                raise RecordError(f"{name}: expected a number up to {MAX_NUMBER:g}")
            metrics[name] = None
        else:
            metrics[name] = number
    if len(metrics) > MAX_METRICS:
        raise RecordError(f"expected up to {MAX_METRICS} metrics, found {len(metrics)}")
    return metrics


def with_metrics_of(metrics: Metrics, last: dict[str, Any]) -> Metrics:
    """Return metrics if they have all names that a round's line has. Raises `RecordError`."""
    if missing := [name for name in last["global"] if name not in metrics]:
        raise RecordError(f"expected the metric '{missing[0]}'")
    return metrics


def as_name(value: Any) -> str:
    """Check that a name means nothing to a terminal, to HTML, and to what draws figures."""
    text = str(of_type(value, str, "a name"))
    if (
        not 0 < len(text) <= MAX_NAME_CHARACTERS
        or not text.isprintable()
        or set("<>&[]\"'`\\") & set(text)
    ):
        raise RecordError(
            f"expected a plain name of up to {MAX_NAME_CHARACTERS} characters, found {text!r}"
        )
    return text


def check_scalar(value: Any, where: str) -> None:
    """Check a text or a number, or a list of them. Raises `RecordError`."""
    for item in value if isinstance(value, list) else [value]:
        if item is not None and not isinstance(item, str | int | float):
            raise RecordError(f"{where}: expected a text or a number, found {type(item).__name__}")
        if isinstance(item, str) and (len(item) > MAX_TEXT_CHARACTERS or not item.isprintable()):
            raise RecordError(
                f"{where}: expected a text of up to {MAX_TEXT_CHARACTERS} printable characters"
            )


def entry(value: Any, key: str, *kinds: type) -> Any:
    """Return an entry of a record, of one of these types. Raises `RecordError`."""
    found = of_type(value, dict, "the record").get(key)
    if type(found) not in kinds:
        raise RecordError(f"{key}: expected {kinds[0].__name__}, found {type(found).__name__}")
    return found


def of_type(value: Any, kind: type, where: str) -> Any:
    """Return a value of just this type. Raises `RecordError`."""
    if type(value) is not kind:
        raise RecordError(f"{where}: expected {kind.__name__}, found {type(value).__name__}")
    return value


def whole(value: Any, where: str) -> int:
    """Return a whole number from 0. Raises `RecordError`."""
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise RecordError(f"{where}: expected a whole number from 0")
    return value


def check_number(value: Any, where: str) -> None:
    """Check a number, or None. Raises `RecordError`."""
    if value is not None and (type(value) not in (int, float) or not abs(value) <= MAX_NUMBER):
        raise RecordError(f"{where}: expected a number")


def check_not_negative(value: float, where: str) -> None:
    """Check a number from 0. Raises `RecordError`."""
    if not 0 <= value < MAX_NUMBER:
        raise RecordError(f"{where}: expected a number from 0")
