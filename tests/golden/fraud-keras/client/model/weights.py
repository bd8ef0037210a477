"""Model files in FEDn's layout: an npz with one array per weight under the keys "0", "1" and so on.

This is what FEDn's helpers read and write (KerasHelper of 2021, numpyhelper of 0.33). They
average whatever they get: a shorter list is cut off in silence and a wrong shape is broadcast.
So every file is checked here, on the way in and on the way out.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from .dataset import Array
from .errors import PackageError

# Scaleout Edge, FEDn's successor, hands the npz over inside a zip of its own, under this name.
# What it gets back may be the bare npz.
WRAPPED = "training_model.bin"


def load(path: Path, like: Sequence[Array]) -> list[Array]:
    """Read the weights in `path`, which must match `like` in count, shape and dtype.

    The one exception is float64, which becomes the dtype of `like`.

    Raises `PackageError` when they do not, or when a value is not finite.
    """
    try:
        # Not np.load, which would also take a bare array; neither unpickles anything.
        with (
            path.open("rb") as file,
            np.lib.npyio.NpzFile(unwrap(file), allow_pickle=False) as archive,
        ):
            keys = [str(index) for index in range(len(archive.files))]
            if sorted(archive.files) != sorted(keys):
                raise PackageError(
                    f"{path}: expected arrays under the keys 0 to {len(like) - 1}, "
                    f"found {', '.join(archive.files)}"
                )
            weights = [archive[key] for key in keys]
    except FileNotFoundError:
        raise PackageError(f"{path}: expected a model file, found none") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PackageError(f"{path}: expected a model file (npz), found: {error}") from None
    if len(weights) == len(like):
        # FEDn's fedopt makes float64 of everything: brought back to what the model holds.
        with np.errstate(over="ignore"):
            weights = [
                array.astype(expected.dtype) if array.dtype == np.float64 else array
                for array, expected in zip(weights, like, strict=True)
            ]
    check(weights, like, where=str(path))
    return weights


def unwrap(file: IO[bytes]) -> IO[bytes]:
    """Return the npz itself: the file, or what Scaleout Edge's zip holds."""
    with zipfile.ZipFile(file) as outer:
        return io.BytesIO(outer.read(WRAPPED)) if WRAPPED in outer.namelist() else file


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
        if (array.shape, array.dtype) != (expected.shape, expected.dtype):
            raise PackageError(
                f"{where}: array {index}: expected {expected.dtype}{list(expected.shape)}, "
                f"found {array.dtype}{list(array.shape)}; was it made for another model?"
            )
        if not np.isfinite(array).all():
            raise PackageError(f"{where}: array {index} holds NaN or infinite values")
