"""A site's images: the kind `images`."""

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from library import TEMPLATE

from fednsite.data import images as reader
from fednsite.data.schema import Schema
from fednsite.errors import PackageError
from fuzz.arrays import DESCRS, HEADERS, SHAPES, Array, npy, saved
from fuzz.kinds import Target, WrongError
from fuzz.mutation import NUMBERS, broken
from fuzz.zips import Member, random_lies, zipped

SCHEMA = TEMPLATE / "templates" / "tasks" / "mnist" / "schema.json"
SHAPE = (28, 28)


def good(count: int = 10) -> dict[str, Array]:
    made = np.random.default_rng(count)
    found: dict[str, Array] = {}
    for part, size in (("train", count), ("test", max(count // 5, 1))):
        found[f"x_{part}"] = made.integers(0, 256, (size, *SHAPE)).astype(np.uint8)
        found[f"y_{part}"] = (np.arange(size) % 10).astype(np.uint8)
    return found


def members(arrays: dict[str, bytes], method: int = 0) -> list[Member]:
    return [(f"{name}.npy", content, {"method": method}) for name, content in arrays.items()]


@cache
def corpus() -> dict[str, bytes]:
    arrays = good()
    plain = {name: npy(array) for name, array in arrays.items()}
    zeros = np.zeros((50_000, *SHAPE), np.uint8)
    bombs: dict[str, dict[str, Array]] = {
        "a bomb of images": {"x_train": zeros},
        "a bomb of labels": {"y_train": np.zeros(5_000_000)},
        "a bomb that nobody reads": {"more": zeros},
    }
    return {
        "good images": saved(arrays),
        "compressed images": saved(arrays, np.savez_compressed),
        "images in the other order": saved({k: np.asfortranarray(v) for k, v in arrays.items()}),
        "an array too few": saved({k: v for k, v in arrays.items() if k != "y_test"}),
        "a name that is another line": saved({"a\nerror: b": np.zeros(5)}),
        "a bare array": plain["x_train"],
        "no bytes": b"",
        "cut short": saved(arrays)[:-30],
        "ten thousand members": zipped([(f"{n}.npy", b"", {}) for n in range(10_000)]),
        **{name: saved({**arrays, **other}) for name, other in odd_arrays(arrays)},
        **{name: saved({**arrays, **bomb}, np.savez_compressed) for name, bomb in bombs.items()},
        **{name: zipped(parts) for name, parts in odd_members(plain)},
    }


def odd_arrays(arrays: dict[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield what may stand in the place of good arrays, or beside them, by what it is."""
    yield "one class", {"y_train": np.zeros(10, np.uint8)}
    yield "no images", {"x_train": np.zeros((0, *SHAPE), np.uint8)}
    yield "no dimensions", {"x_train": np.array(1, np.uint8)}
    yield "labels of no dimensions", {"y_train": np.array(1, np.uint8)}
    yield "an array too many", {"more": np.zeros(5)}
    yield "a pickle", {"y_train": np.array([{}] * 10, dtype=object)}
    yield "labels that are texts", {"y_train": np.array(["1", "2"] * 5)}
    yield "labels that are long texts", {"y_train": np.array(["x" * 9999, "2"] * 5)}
    yield "labels that are dates", {"y_train": np.array(["2020"] * 10, "M8[D]")}
    yield "labels that are structures", {"y_train": np.zeros(10, [("a", "<i4")])}
    yield "labels that are complex", {"y_train": np.zeros(10, complex)}
    yield "labels that are true and false", {"y_train": np.arange(10) % 2 == 1}
    yield "labels that are not numbers", {"y_train": np.full(10, np.nan)}
    yield "labels beyond all classes", {"y_train": np.full(10, 2**62)}
    yield "labels below zero", {"y_train": np.arange(10) - 5}
    yield "two kinds of numbers", {"x_test": arrays["x_test"].astype(np.float32)}


def odd_members(plain: dict[str, bytes]) -> Iterator[tuple[str, list[Member]]]:
    """Yield lists of members that lie, by what they are; `plain` are good arrays."""
    whole, huge = members(plain), {"size": 1 << 32, "packed": 1 << 32, "zip64": 1}
    yield "encrypted", [(name, content, {"flags": 1}) for name, content, _ in whole]
    yield "an array twice", whole * 2
    yield "members that claim 4 GB", [(name, content, huge) for name, content, _ in whole]
    large = npy(good()["x_train"], shape=(1 << 23, *SHAPE))
    yield "a header that claims 4 GB", members({**plain, "x_train": large})
    said = [{"header": h} for h in HEADERS] + [{"shape": s} for s in SHAPES]
    for name, array in good().items():
        for number, lie in enumerate([*said, *({"descr": d} for d in DESCRS)]):
            yield f"{name}: {number}", members({**plain, name: npy(array, **lie)})


def generate(random: Random) -> bytes:
    arrays = good(random.choice([2, 5, 10]))
    plain = {name: npy(array) for name, array in arrays.items()}
    name = random.choice(list(plain))
    match random.randrange(6):
        case 0:
            lies: list[dict[str, Any]] = [
                {"descr": random.choice(DESCRS)},
                {"shape": random.choice([*SHAPES, (random.choice(NUMBERS), *SHAPE)])},
                {"header": random.choice(HEADERS)},
                {"fortran_order": True},
            ]
            plain[name] = npy(arrays[name], **random.choice(lies))
        case 1:
            plain[name] = broken(random, plain[name])
        case 2:
            kind = random.choice(["<i8", "<f4", "<f8", ">u2", "?", "<u1", "<U3"])
            plain[name] = npy(arrays[name].astype(kind))
        case 3:
            plain[random.choice(["x", "../x_train", "x_train", "y_test"])] = plain.pop(name)
    parts = members(plain, random.choice([0, 8]))
    if random.random() < 0.2:
        place = random.randrange(len(parts))
        parts[place] = (*parts[place][:2], random_lies(random))
    made = zipped(parts)
    return broken(random, made) if random.random() < 0.3 else made


def images(scratch: Path) -> Target:
    """Read a site's images."""
    # So that a bomb is one at 1 MB already.
    vars(reader)["MAX_DATA_BYTES"] = 1 << 20
    schema = Schema.read(SCHEMA)
    file = scratch / "in.npz"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = reader.read_images(schema, "all", file)
        with np.load(io.BytesIO(case), allow_pickle=False) as arrays:
            pixels = np.concatenate([arrays["x_train"], arrays["x_test"]])
            labels = np.concatenate([arrays["y_train"], arrays["y_test"]])
        expected = pixels.astype(np.float32) / np.float32(255)
        if found.scaled.dtype != np.float32 or not np.array_equal(found.scaled, expected):
            raise WrongError("took other pixels than are in the file")
        if found.labels.tolist() != labels.astype(np.int64).tolist():
            raise WrongError("took other labels than are in the file")
        return True

    return Target(corpus(), ["good images"], generate, judge, (PackageError,))
