"""Model files in FEDn's layout: an npz with one array per weight under the keys "0", "1" and so on.

FEDn's helpers read and write this layout (KerasHelper of 2021, numpyhelper of 0.33). They average
without checks: missing arrays are silently dropped, wrong shapes are broadcast. So this module
checks every file that it reads or writes.
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

# Scaleout Edge, FEDn's successor, wraps the npz in a zip file, under this name. It accepts updates
# without the wrapping.
WRAPPED_MODEL = "training_model.bin"
# Limit on the size of that zip file beyond the model's.
MAX_WRAPPING_BYTES = 1 << 20


def load(path: Path, like: Sequence[Array]) -> list[Array]:
    """Read the weights in `path`, which must match `like` in count, shape and dtype.

    float64 arrays are converted to the dtype of `like`. Memory use is limited, regardless of what
    the file claims: the weights, one array of them as float64, and a few megabytes; for Scaleout
    Edge's wrapping, also the file's content.

    Raises:
        PackageError: The weights do not match, or are not finite.
    """
    limit = sum(MAX_HEADER_BYTES + array.size * max(array.itemsize, 8) for array in like)
    try:
        with path.open("rb") as file:
            if (size := path.stat().st_size) > limit + MAX_WRAPPING_BYTES:
                raise PackageError(
                    f"{path}: expected a model file of up to {limit + MAX_WRAPPING_BYTES:,} bytes, "
                    f"found {size:,}; was it made for another model?"
                )
            archive = Npz(file, len(like), limit)
            if WRAPPED_MODEL in archive.names:
                archive = Npz(io.BytesIO(archive.content(WRAPPED_MODEL)), len(like), limit)
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
    # FEDn's fedopt returns float64; cast it back to the model's dtype.
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

    The file is not compressed, because trained weights hardly shrink.
    """
    check(weights, like, where="the trained model")
    # An open file, because numpy appends ".npz" to paths without it.
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
