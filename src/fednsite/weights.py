"""Model files in FEDn's layout: an npz with one array per weight under the keys "0", "1" and so on.

This is what FEDn's helpers read and write (KerasHelper of 2021, numpyhelper of 0.33). They
average whatever they get: a shorter list is cut off in silence and a wrong shape is broadcast.
So every file is checked here, on the way in and on the way out.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from .data.examples import Array
from .data.npz import MAX_HEADER_BYTES, Npz, NpzError
from .errors import PackageError

__all__ = ["check", "load", "save"]

# Scaleout Edge, FEDn's successor, hands the npz over inside a zip of its own, under this name.
# What it gets back may be the bare npz.
WRAPPED_MODEL = "training_model.bin"
# Of that zip, besides the model.
MAX_WRAPPING_BYTES = 1 << 20


def load(path: Path, like: Sequence[Array]) -> list[Array]:
    """Read the weights in `path`, which must match `like` in count, shape and dtype.

    The one exception is float64, which becomes the dtype of `like`.

    Raises `PackageError` when they do not, or when a value is not finite. Whatever the file
    claims, this takes no more memory than the weights, one array of them as float64, and a few
    megabytes; for a file in Scaleout Edge's wrapping, its content besides.
    """
    # In float64, at the most.
    most = sum(MAX_HEADER_BYTES + array.size * max(array.itemsize, 8) for array in like)
    try:
        with path.open("rb") as file:
            if (size := path.stat().st_size) > most + MAX_WRAPPING_BYTES:
                raise PackageError(
                    f"{path}: expected a model file of up to {most + MAX_WRAPPING_BYTES:,} bytes, "
                    f"found {size:,}; was it made for another model?"
                )
            archive = Npz(file, len(like), most)
            if WRAPPED_MODEL in archive.names:
                archive = Npz(io.BytesIO(archive.content(WRAPPED_MODEL)), len(like), most)
            weights = _read(archive, like, str(path))
    except FileNotFoundError:
        raise PackageError(f"{path}: expected a model file, found none") from None
    except (NpzError, OSError) as error:
        raise PackageError(f"{path}: expected a model file (npz), found: {error}") from None
    check(weights, like, where=str(path))
    return weights


def _read(archive: Npz, like: Sequence[Array], where: str) -> list[Array]:
    count = len(archive.names)
    if sorted(archive.names) != sorted(f"{index}.npy" for index in range(count)):
        found = ", ".join(name.removesuffix(".npy") for name in archive.names[: len(like) + 1])
        raise PackageError(
            f"{where}: expected arrays under the keys 0 to {len(like) - 1}, found {found}"
        )
    if count != len(like):
        raise PackageError(f"{where}: expected {len(like)} arrays, found {count}")
    # FEDn's fedopt makes float64 of everything: brought back to what the model holds.
    with np.errstate(over="ignore"):
        return [
            _read_one(archive, index, expected, where).astype(expected.dtype, copy=False)
            for index, expected in enumerate(like)
        ]


def _read_one(archive: Npz, index: int, expected: Array, where: str) -> Array:
    def fit(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        known = expected.dtype if dtype == np.float64 else dtype
        _compare(shape, known, expected, f"{where}: array {index}")

    return archive.read(f"{index}.npy", fit)


def save(file: IO[bytes], weights: Sequence[Array], like: Sequence[Array]) -> None:
    """Write `weights` to an open file after the same checks as `load`.

    Stored, not compressed: trained weights hardly shrink, and FEDn reads both.
    """
    check(weights, like, where="the trained model")
    # Through an open file, because numpy appends ".npz" to a path that lacks it.
    arrays: dict[str, Any] = {str(index): array for index, array in enumerate(weights)}
    np.savez(file, **arrays)


def check(weights: Sequence[Array], like: Sequence[Array], where: str) -> None:
    """Raise `PackageError` unless `weights` fit `like` and are finite."""
    if len(weights) != len(like):
        raise PackageError(f"{where}: expected {len(like)} arrays, found {len(weights)}")
    for index, (array, expected) in enumerate(zip(weights, like, strict=True)):
        _compare(array.shape, array.dtype, expected, f"{where}: array {index}")
        if not np.isfinite(array).all():
            raise PackageError(f"{where}: array {index} holds NaN or infinite values")


def _compare(shape: tuple[int, ...], dtype: np.dtype[Any], expected: Array, where: str) -> None:
    if (shape, dtype) != (expected.shape, expected.dtype):
        raise PackageError(
            f"{where}: expected {expected.dtype}{list(expected.shape)}, "
            f"found {dtype}{list(shape)}; was it made for another model?"
        )
