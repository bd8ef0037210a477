"""Read untrusted npz files: check the size, shape and dtype of an array before reading it.

numpy's own reader trusts the file. It allocates 4 GB if a header says so, unpacks a few kilobytes
to any size, and raises many kinds of errors. This reader only accepts files that `np.savez` and
`np.savez_compressed` write: plain arrays (version 1.0 of the format), stored or deflated. It never
unpickles, and unpacks nothing to disk.

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

# numpy.lib.format has no type annotations.
NPY: Any = np.lib.format
# numpy writes headers of 118 bytes.
MAX_HEADER_BYTES = 16_384
# zipfile reads 64 KB to find the end of the list of members, and some bytes for each member.
MAX_LIST_BYTES, MAX_LIST_BYTES_PER_MEMBER = 1 << 17, 512
# Deflate expands a byte to at most 1032 bytes.
MAX_DEFLATE_RATIO = 1032
CHUNK_BYTES = 1 << 20
# Limit on a site's unpacked data, because a few kilobytes can unpack to more than any memory. MNIST
# has 55 million bytes; raise the limit for larger data.
MAX_DATA_BYTES = 1 << 30

# Raises `PackageError` if the shape or dtype of an array is wrong.
Fit = Callable[[tuple[int, ...], np.dtype[Any]], None]


class NpzError(Exception):
    """A short description of what is wrong with the file."""


class _Bounded:
    """A file that raises an error on reads of more than `most` bytes, unless `most` is None."""

    def __init__(self, file: IO[bytes], most: int | None) -> None:
        self.file, self.most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if self.most is None:
            return self.file.read(size)
        # zipfile reads without a size only near the end of the file.
        found = self.file.read(self.most + 1 if size < 0 else min(size, self.most + 1))
        if len(found) > self.most:
            raise zipfile.BadZipFile("too long a list of members")
        return found


class Npz:
    """An open npz file, which the caller closes.

    Args:
        file: The file.
        members: The expected number of members. A list of many more is not read.
        most: The limit on the unpacked bytes of everything that is read.

    Raises:
        NpzError: The file is not a zip file, or its list of members is too long.
    """

    def __init__(self, file: IO[bytes], members: int, most: int) -> None:
        self._left = most
        bounded: Any = _Bounded(file, MAX_LIST_BYTES + MAX_LIST_BYTES_PER_MEMBER * members)
        try:
            self._size = file.seek(0, os.SEEK_END)
            file.seek(0)
            # zipfile accepts archives with a prefix; numpy and FEDn do not.
            if file.read(2) != b"PK":
                raise NpzError("it is not a zip file")
            self._zip = zipfile.ZipFile(bounded)
        except NpzError:
            raise
        # zipfile does not document the exceptions that it raises on malformed files.
        except Exception as error:
            raise _wrong(error) from None
        bounded.most = None
        self.names = [entry.filename for entry in self._zip.infolist()]
        """The members' names; those of arrays end in ".npy"."""

    def read(self, name: str, fit: Fit) -> Array:
        """Return an array; call `fit` with its shape and dtype before reading it.

        Raises:
            NpzError: The array cannot be read. Exceptions of `fit` are raised too.
        """
        try:
            with self._open(name) as member:
                if NPY.read_magic(member) != (1, 0):
                    raise NpzError(f"'{name}' is not a plain array")
                with warnings.catch_warnings():
                    # numpy warns about headers from Python 2 and deprecated dtypes.
                    warnings.simplefilter("error")
                    shape, fortran, dtype = NPY.read_array_header_1_0(member)
                if dtype.hasobject or dtype.fields or dtype.subdtype or min(shape, default=0) < 0:
                    raise NpzError(f"'{name}' is not a plain array")
                fit(shape, dtype)
                count = math.prod(shape)
                if member.tell() + count * dtype.itemsize != self._zip.getinfo(name).file_size:
                    raise NpzError(f"'{name}' is shorter or longer than its header says")
                flat = np.empty(count, dtype)
                _fill(member, flat.view(np.uint8).data)
            return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        except (PackageError, NpzError):
            raise
        # As in __init__; numpy's header functions are no better documented.
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
        # As in __init__.
        except Exception as error:
            raise _wrong(error) from None

    def _open(self, name: str) -> IO[bytes]:
        if self.names.count(name) != 1:
            raise NpzError(f"expected one '{name}' in it, found {self.names.count(name)}")
        entry = self._zip.getinfo(name)
        # Other methods can unpack to any size before the size is known.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NpzError(f"'{name}' is compressed by another method than numpy's")
        if entry.file_size > self._left:
            raise NpzError(f"'{name}' unpacks to {entry.file_size:,} bytes, which is too large")
        max_ratio = 1 if entry.compress_type == zipfile.ZIP_STORED else MAX_DEFLATE_RATIO
        if entry.file_size > min(entry.compress_size, self._size) * max_ratio:
            raise NpzError(f"'{name}' claims to be larger than it can be")
        self._left -= entry.file_size
        return self._zip.open(entry)


def _fill(member: IO[bytes], view: memoryview) -> None:
    """Fill `view` and read to the end of the member, where zipfile compares the checksum."""
    position, end = 0, len(view)
    while position < end:
        # zipfile's `readinto` is no faster.
        piece = member.read(min(CHUNK_BYTES, end - position))
        if not piece:
            raise NpzError("truncated")
        view[position : position + len(piece)] = piece
        position += len(piece)
    if member.read(1):
        raise NpzError("longer than the archive's list says")


def _wrong(error: Exception) -> NpzError:
    return NpzError(str(error) or type(error).__name__)
