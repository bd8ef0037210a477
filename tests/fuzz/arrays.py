"""Arrays in numpy's format, and npz files, whose headers lie."""

import io
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from fuzz.zips import Member

Array = npt.NDArray[Any]
# What a bomb unfolds to: more than any kind may take.
BOMB = bytes(12 << 20)


def npy(array: Array | None = None, **said: Any) -> bytes:
    """Return an array in numpy's format; what is said of it may be something else.

    said: magic, version, header (the text itself), length (of it), descr, fortran_order, shape,
    data.
    """
    array = np.zeros(3, np.float32) if array is None else array
    fields = {
        "descr": said.get("descr", array.dtype.str),
        "fortran_order": said.get("fortran_order", False),
        "shape": said.get("shape", array.shape),
    }
    text = said.get("header", repr(fields)).encode("utf-8", "surrogatepass")
    version = said.get("version", (1, 0))
    size = 10 if version[0] == 1 else 12
    text += b" " * (-(len(text) + size + 1) % 64) + b"\n"
    length = said.get("length", len(text)) % (1 << (16 if version[0] == 1 else 32))
    packed = struct.pack("<H" if version[0] == 1 else "<I", length)
    data = said.get("data", array.tobytes("F" if fields["fortran_order"] is True else "C"))
    return b"".join([said.get("magic", b"\x93NUMPY"), bytes(version), packed, text, data])


def members(arrays: list[bytes]) -> list[Member]:
    return [(f"{index}.npy", array, {}) for index, array in enumerate(arrays)]


HEADERS = [
    *("", "{", "{}", "[]", "None", "1", "'x'", "{'descr': '<f4'}", "(" * 3000, "[" * 90 + "]" * 90),
    *(
        "-" * 5000 + "1",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': (3,)}",
        "\ud800",
        "x" * 9000,
    ),
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3L,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': [3]}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 2000 + ")}",
    "{'descr': __import__('os').system('id'), 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}\n{",
    "  {'descr': '<f4',\n 'fortran_order': False,\n\t'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} # \\",
    '{\'descr\': """',
    "\x00",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}\\",
    "0" * 900,
]
DESCRS: list[Any] = [
    *"<f4 >f4 <f8 >f8 <f2 |u1 <i4 <c8 |O O |V4 <U1 |S1 <M8[ns] |V999999999 <U99999999".split(),
    *("", "f", "<f99", "?", "<m8", [], [("a", "<f4")], [("a", "|O")], [("a", "<f4", (2**31,))]),
    *(("<f4", (3,)), ["x"], 7, None, [("a", "<f4"), ("a", "<f4")], {"a": 1}, [("\udc80", "<f4")]),
    *("<f4,<f4", "(2,)<f4", "<f16"),
]
SHAPES: list[Any] = [
    *((3,), (), (0,), (3, 1), (1, 3), (2, 3), (3, 2), (-3,), (-1, -3), (2**30,), (2**62, 4)),
    *((10**30,), (0, 10**30), (2**31, 2**31, 0), [3], 3, None, "3", (3.0,), (True,), ("x",)),
    *((1,) * 40, (1,) * 70),
]


def odd_members(good: list[bytes]) -> dict[str, list[Member]]:
    """Return lists of members that are no model, by what they are; `good` is one."""
    first, second, *others = members(good)
    odd = odd_lists(good) | {
        what: [("0.npy", content, lies), second, *others]
        for what, content, lies in odd_firsts(good[0])
    }
    odd["two members in one place"] = [first, (*second[:2], {"offset": 0}), *others]
    return odd


def odd_lists(good: list[bytes]) -> dict[str, list[Member]]:
    """Return members of which each would be good in another place, or by another name."""
    whole = members(good)
    first, *rest = whole
    names = {
        "a path upwards": "../0.npy",
        "an absolute path": "/tmp/0.npy",
        "a number with a zero in front": "00.npy",
        "a number in Arabic digits": "٠.npy",
        "a name that is another line": "x\nerror: y.npy",
        "a name of 60,000 characters": "x" * 60_000,
        "a name that ends in the middle": "0.npy\0.txt",
    }
    return {
        "no members": [],
        "one array too few": whole[:-1],
        "one array too many": [*whole, ("9.npy", good[0], {})],
        "an array twice": [*whole, first],
        "an array twice under one number": [first, first, *rest],
        "names without their ending": [(name[:-4], array, {}) for name, array, _ in whole],
        "ten thousand members": [(f"{n}.npy", b"", {}) for n in range(10_000)],
        **{what: [(name, good[0], {}), *rest] for what, name in names.items()},
    }


def odd_firsts(good: bytes) -> Iterator[tuple[str, bytes, dict[str, int]]]:
    """Yield what may stand in the place of the first array, and what its headers say instead."""
    large, huge = 1 << 31, 1 << 40
    yield "a member that is no array", b"hello", {}
    yield "an empty member", b"", {}
    yield "an encrypted member", good, {"flags": 1}
    yield "strong encryption", good, {"flags": 0x41}
    yield "patched data", good, {"flags": 0x20}
    yield "an unknown packing", good, {"method": 99}
    yield "a wrong checksum", good, {"crc": 1}
    yield "a member larger than the file", good, {"size": large, "packed": large}
    yield "4 GB by zip64", good, {"size": huge, "packed": huge, "zip64": 1}
    yield "a member somewhere else", good, {"offset": large}
    yield "a bomb of zeros", good + BOMB, {"method": 8}
    yield "a bomb that claims to be small", good + BOMB, {"method": 8, "size": len(good)}
    yield "half the data", good[:-4], {}
    yield "more data than it says", good + b"more", {}
    for number, header in enumerate(HEADERS):
        yield f"header {number}", npy(header=header), {}
    for number, descr in enumerate(DESCRS):
        yield f"dtype {number}", npy(descr=descr), {}
    for number, shape in enumerate(SHAPES):
        yield f"shape {number}", npy(shape=shape), {}
    for version in ((0, 0), (1, 1), (2, 0), (3, 0), (4, 0), (255, 255)):
        yield f"version {version}", npy(version=version), {}
    yield "a header of 4 GB", npy(version=(2, 0), length=2**32 - 1), {}
    yield "a header longer than the file", npy(length=65_535), {}


LIKE = [np.zeros((3, 4), np.float32), np.zeros(4, np.float32), np.zeros((), np.float32)]


def trained(random: Random | None = None) -> list[Array]:
    """Return weights that fit `LIKE`."""
    made = np.random.default_rng(random.randrange(1 << 30) if random else 0)
    return [made.normal(size=array.shape).astype(np.float32) for array in LIKE]


def saved(arrays: dict[str, Any], save: Callable[..., None] = np.savez) -> bytes:
    """Return arrays as numpy saves them."""
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def numbered(arrays: list[Any]) -> dict[str, Any]:
    return {str(index): array for index, array in enumerate(arrays)}
