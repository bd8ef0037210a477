"""Files that are either whole or not there at all, and JSON that every reader accepts."""

import json
import math
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .errors import PackageError

# What a JSON file of somebody else's may have: settings and metadata are a few hundred bytes.
JSON_BYTES = 1 << 20


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` only when the block ends without an error.

    A reader never meets half a file, and a failure leaves what was there before.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def quietly() -> Iterator[None]:
    """Let nothing that the block prints to stderr be seen, what it prints below Python included.

    For libraries in Rust, which print a page of their own before Python hears of an error.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def sidecar(model: Path) -> Path:
    """Return where FEDn keeps the metadata of a model file: `MODEL-metadata`."""
    return model.with_name(model.name + "-metadata")


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of up to `JSON_BYTES`. Raises `PackageError` for anything else.

    JSON is strict here: no NaN, no number beyond float64's, no key twice.
    """
    if (size := path.stat().st_size) > JSON_BYTES:
        raise PackageError(f"{path}: expected JSON of up to {JSON_BYTES:,} bytes, found {size:,}")
    try:
        value = json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_no_number,
            parse_float=_number,
            object_pairs_hook=_once,
        )
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path}: expected JSON, found none: {error}") from None
    if not isinstance(value, dict):
        raise PackageError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _number(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _no_number(text[:40])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands in it twice")
    return value


def dump_json(value: Mapping[str, Any]) -> bytes:
    """Encode as strict JSON, in which NaN and the infinities do not exist: they become null."""
    return (json.dumps(_finite(value), indent=2, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
