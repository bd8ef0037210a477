"""Read npz files from strangers: what an array will take is known, and rejected, before it is read.

numpy's own reader believes what a file says of itself. It reserves 4 GB if a header claims them,
unpacks a few kilobytes to any size, and lets errors of many kinds through. This reader accepts what
`np.savez` and `np.savez_compressed` write, and nothing else: plain arrays (version 1.0 of the
format), stored or deflated. It unpickles nothing and unpacks nothing to disk.

Sources: numpy.lib.format, "NPY format"; PKWARE, "APPNOTE.TXT", 4.3.
"""

import math
import os
import warnings
import zipfile
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from ..errors import PackageError
from .examples import Array

__all__ = ["MAX_DATA_BYTES", "MAX_HEADER_BYTES", "Npz", "NpzError"]

# Its functions come without types.
NPY: Any = np.lib.format
# Of an array's header. numpy's own has 118 bytes.
MAX_HEADER_BYTES = 16_384
# Of the list of members: zipfile reads 64 KB to find its end, then some for each member.
MAX_LIST_BYTES, MAX_LIST_BYTES_A_MEMBER = 1 << 17, 512
# Deflate expands a byte to 1032 at most.
MAX_DEFLATE_RATIO = 1032
BYTES_AT_A_TIME = 1 << 20
# That a site's data may unpack to; MNIST has 55 million. A few kilobytes can hold what fills any
# memory: raise this where a site does have more.
MAX_DATA_BYTES = 1 << 30

# Raises `PackageError` unless an array of this shape and dtype is wanted.
Fit = Callable[[tuple[int, ...], np.dtype[Any]], None]


class NpzError(Exception):
    """What is wrong with the file, in a few words."""


class _Bounded:
    """A file that refuses to be read in larger pieces than `most` bytes, unless that is None."""

    def __init__(self, file: IO[bytes], most: int | None) -> None:
        self.file, self.most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if self.most is None:
            return self.file.read(size)
        # Without a size, zipfile reads what is left behind a place near the end.
        found = self.file.read(self.most + 1 if size < 0 else min(size, self.most + 1))
        if len(found) > self.most:
            raise zipfile.BadZipFile("too long a list of members")
        return found


class Npz:
    """An open npz file; it belongs to the caller.

    members: how many one expects; a list of many more is not even read. most: bytes that all
    that is read may unpack to. Raises `NpzError`.
    """

    def __init__(self, file: IO[bytes], members: int, most: int) -> None:
        self._left = most
        bounded: Any = _Bounded(file, MAX_LIST_BYTES + MAX_LIST_BYTES_A_MEMBER * members)
        try:
            self._size = file.seek(0, os.SEEK_END)
            file.seek(0)
            # zipfile would also take one behind something else, which numpy, and FEDn, do not.
            if file.read(2) != b"PK":
                raise NpzError("it is not a zip file")
            self._zip = zipfile.ZipFile(bounded)
        except NpzError:
            raise
        # What zipfile raises at foreign bytes is not told in its documentation, and changes.
        except Exception as error:
            raise _wrong(error) from None
        bounded.most = None
        self.names = [entry.filename for entry in self._zip.infolist()]
        """The members' names, as they stand there; an array's end in ".npy"."""

    def read(self, name: str, fit: Fit) -> Array:
        """Return an array, of which `fit` has approved before any of it is read.

        Raises `NpzError`, and what `fit` raises.
        """
        try:
            with self._open(name) as member:
                if NPY.read_magic(member) != (1, 0):
                    raise NpzError(f"'{name}' is no plain array")
                with warnings.catch_warnings():
                    # Of headers as Python 2 wrote them, and of dtypes that are going out of use.
                    warnings.simplefilter("error")
                    shape, fortran, dtype = NPY.read_array_header_1_0(member)
                if dtype.hasobject or dtype.fields or dtype.subdtype or min(shape, default=0) < 0:
                    raise NpzError(f"'{name}' is no plain array")
                fit(shape, dtype)
                count = math.prod(shape)
                if member.tell() + count * dtype.itemsize != self._zip.getinfo(name).file_size:
                    raise NpzError(f"'{name}' is shorter or longer than its header says")
                flat = np.empty(count, dtype)
                _fill(member, flat.view(np.uint8).data)
            return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        except (PackageError, NpzError):
            raise
        # As above; of numpy's header too.
        except Exception as error:
            raise _wrong(error) from None

    def content(self, name: str) -> bytearray:
        """Return a member's bytes. Raises `NpzError`."""
        try:
            with self._open(name) as member:
                found = bytearray(self._zip.getinfo(name).file_size)
                _fill(member, memoryview(found))
            return found
        except NpzError:
            raise
        # As above.
        except Exception as error:
            raise _wrong(error) from None

    def _open(self, name: str) -> IO[bytes]:
        if self.names.count(name) != 1:
            raise NpzError(f"expected '{name}' in it once, found it {self.names.count(name)} times")
        entry = self._zip.getinfo(name)
        # Others unfold to any size before one can look.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NpzError(f"'{name}' is packed in another way than numpy packs")
        if entry.file_size > self._left:
            raise NpzError(f"'{name}' unpacks to {entry.file_size:,} bytes: too many")
        unfolds = 1 if entry.compress_type == zipfile.ZIP_STORED else MAX_DEFLATE_RATIO
        if entry.file_size > min(entry.compress_size, self._size) * unfolds:
            raise NpzError(f"'{name}' claims to be larger than it can be")
        self._left -= entry.file_size
        return self._zip.open(entry)


def _fill(member: IO[bytes], view: memoryview) -> None:
    """Read until `view` is full, and nothing is left; the end is where the checksum is compared."""
    position, end = 0, len(view)
    while position < end:
        # Read and copied, because zipfile's own `readinto` does no better.
        piece = member.read(min(BYTES_AT_A_TIME, end - position))
        if not piece:
            raise NpzError("cut short")
        view[position : position + len(piece)] = piece
        position += len(piece)
    if member.read(1):
        raise NpzError("longer than it says")


def _wrong(error: Exception) -> NpzError:
    return NpzError(str(error) or type(error).__name__)
