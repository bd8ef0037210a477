"""The reader of npz files: what an array takes is known before any of it is read."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fednsite.data.npz import Npz, NpzError
from fednsite.errors import PackageError

ARRAYS: dict[str, Any] = {
    "bytes": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "turned": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(3, 2)),
    "scalar": np.array(3, np.int64),
    "empty": np.zeros((0, 4), np.float32),
    "texts": np.array(["a", "bcd"]),
}
MEMBERS, MOST = 8, 1 << 20


def anything(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Approve of every array."""


def saved(save: Callable[..., None], **arrays: Any) -> io.BytesIO:
    file = io.BytesIO()
    save(file, **arrays)
    return file


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(content: bytes, compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    """Return a zip file with one member, `x.npy`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as members:
        members.writestr("x.npy", content)
    return file


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(save: Callable[..., None]) -> None:
    found = Npz(saved(save, **ARRAYS), MEMBERS, MOST)
    assert found.names == [f"{name}.npy" for name in ARRAYS]
    for name, array in ARRAYS.items():
        read = found.read(f"{name}.npy", anything)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert np.array_equal(read, array)


def test_shape_and_dtype_are_approved_of_before_the_content_is_read() -> None:
    def refuse(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        assert shape == (2, 3)
        assert dtype == np.uint8
        raise PackageError("another array was expected")

    # The content is missing, which would be the error of whoever reads it.
    without_content = archive(npy(ARRAYS["bytes"])[:-6])
    with pytest.raises(PackageError, match="another array was expected"):
        Npz(without_content, MEMBERS, MOST).read("x.npy", refuse)


def test_members_may_not_unpack_to_more_than_what_is_allowed_together() -> None:
    size = len(npy(ARRAYS["bytes"]))
    file = saved(np.savez, one=ARRAYS["bytes"], two=ARRAYS["bytes"])
    enough = Npz(file, MEMBERS, 2 * size)
    for name in ("one.npy", "two.npy"):
        enough.read(name, anything)
    little = Npz(file, MEMBERS, 2 * size - 1)
    little.read("one.npy", anything)
    with pytest.raises(NpzError, match=f"'two.npy' unpacks to {size} bytes, which is too large"):
        little.read("two.npy", anything)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (archive(npy(ARRAYS["bytes"]) + b"more"), "'x.npy' is shorter or longer than its header"),
        (archive(npy(ARRAYS["bytes"])[:-1]), "'x.npy' is shorter or longer than its header says"),
        (archive(npy(np.array([{}], dtype=object))), "'x.npy' is not a plain array"),
        (archive(npy(np.zeros(2, [("a", "i4")]))), "'x.npy' is not a plain array"),
        (
            archive(npy(ARRAYS["bytes"]), zipfile.ZIP_BZIP2),
            "compressed by another method than numpy's",
        ),
        (archive(b"\x93NUMPY\x01\x00\xff\xff" + b" " * 70_000), "Header info length"),
    ],
)
def test_what_numpy_would_not_write_is_refused(file: io.BytesIO, expected: str) -> None:
    with pytest.raises(NpzError, match=expected):
        Npz(file, MEMBERS, MOST).read("x.npy", anything)


def test_a_member_that_is_not_there_is_named() -> None:
    with pytest.raises(NpzError, match=r"expected one 'y\.npy' in it, found 0"):
        Npz(archive(npy(1)), MEMBERS, MOST).read("y.npy", anything)


def test_a_list_of_many_more_members_than_expected_is_not_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        for number in range(6_000):
            members.writestr(f"{number}.npy", b"")
    assert len(Npz(file, 6_000, MOST).names) == 6_000
    with pytest.raises(NpzError, match="too long a list of members"):
        Npz(file, MEMBERS, MOST)


def test_an_archive_behind_something_else_is_refused() -> None:
    behind = io.BytesIO(b"#!/bin/sh\n" + archive(npy(1)).getvalue())
    with pytest.raises(NpzError, match="not a zip file"):
        Npz(behind, MEMBERS, MOST)
