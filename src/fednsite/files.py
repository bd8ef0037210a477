"""Atomic file writes, and strict JSON."""

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

__all__ = [
    "atomic_write",
    "dump_json",
    "read_json_object",
    "sidecar",
    "stderr_discarded",
    "write_atomically",
]

# Settings and metadata usually have a few hundred bytes.
MAX_JSON_BYTES = 1 << 20


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path` only if the block ends without an error.

    Readers never see a partial file, and a failure keeps the old file.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def stderr_discarded() -> Iterator[None]:
    """Discard everything that the block prints to stderr, including output of native code.

    Rust libraries print a long message before they raise a Python exception.
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


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is complete or missing, never partial."""
    with atomic_write(path) as file:
        file.write(content)


def sidecar(model: Path) -> Path:
    """Return the path of a model file's metadata in FEDn: `MODEL-metadata`."""
    return model.with_name(model.name + "-metadata")


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of up to `MAX_JSON_BYTES`.

    Raises:
        PackageError: The file is too large or not a JSON object, or contains NaN, a number beyond
            float64, or a duplicate key.
    """
    if (size := path.stat().st_size) > MAX_JSON_BYTES:
        raise PackageError(
            f"{path}: expected JSON of up to {MAX_JSON_BYTES:,} bytes, found {size:,}"
        )
    try:
        value = json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_reject_constant,
            parse_float=_number,
            object_pairs_hook=_unique_keys,
        )
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path}: expected JSON, found none: {error}") from None
    if not isinstance(value, dict):
        raise PackageError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def _number(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _reject_constant(text[:40])


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key appears twice")
    return value


def dump_json(value: Mapping[str, Any]) -> bytes:
    """Encode as strict JSON; NaN and infinities become null."""
    return (json.dumps(_finite(value), indent=2, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
