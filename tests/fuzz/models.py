"""Model files: the kind `model`."""

import io
import os
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fednsite import weights
from fednsite.errors import PackageError
from fuzz.arrays import (
    BOMB,
    DESCRS,
    HEADERS,
    LIKE,
    SHAPES,
    Array,
    members,
    npy,
    numbered,
    odd_members,
    saved,
    trained,
)
from fuzz.kinds import Target, WrongError
from fuzz.mutation import NUMBERS, broken
from fuzz.zips import Member, random_lies, squeezed, zipped

WRAPPED = "training_model.bin"


class Exploit:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


@cache
def corpus() -> dict[str, bytes]:
    good = [npy(array) for array in trained()]
    return (
        dict(saved_files())
        | dict(zip_files(members(good)))
        | {
            "a bare array": good[0],
            "no bytes": b"",
            "a megabyte of nothing": bytes(1 << 20),
            "a pickle alone": b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.",
            "a bomb packed by LZMA": squeezed(BOMB, zipfile.ZIP_LZMA),
            "a bomb packed by bzip2": squeezed(BOMB, zipfile.ZIP_BZIP2),
            **{name: zipped(odd) for name, odd in odd_members(good).items()},
        }
    )


def saved_files() -> Iterator[tuple[str, bytes]]:
    """Yield model files as numpy saves them, with what they are."""
    arrays = trained()
    first, *rest = arrays
    wide = first.astype(np.float64)
    yield "as FEDn saves", saved(numbered(arrays))
    yield "compressed", saved(numbered(arrays), np.savez_compressed)
    yield "in float64", saved(numbered([array.astype(np.float64) for array in arrays]))
    yield "in the other order", saved(numbered([np.asfortranarray(array) for array in arrays]))
    yield "backwards", saved(dict(reversed(numbered(arrays).items())))
    yield "infinite", saved(numbered([first * np.float32(np.inf), *rest]))
    yield "not a number", saved(numbered([*arrays[:2], np.float32(np.nan)]))
    yield "infinite once it is float32", saved(numbered([wide * 1e300, *rest]))
    yield "unknown to float32", saved(numbered([wide * 1e-300, *rest]))
    yield "texts", saved(numbered([np.array(["a"] * 3), *rest]))
    yield "whole numbers", saved(numbered([first.astype(np.int32), *rest]))
    yield "a pickle", saved(numbered([np.array([Exploit()], dtype=object), *rest]))


def zip_files(good: list[Member]) -> Iterator[tuple[str, bytes]]:
    """Yield zip files around the members of a good model, with what they are."""
    whole = zipped(good)
    wrapped: Member = (WRAPPED, whole, {})
    yield "in the successor's wrapping", wrapping(whole)
    yield "in two wrappings", zipped([(WRAPPED, zipped([wrapped]), {})])
    yield "in a wrapping twice", zipped([wrapped, wrapped])
    yield "a wrapping with nothing in it", zipped([(WRAPPED, b"", {})])
    yield "a wrapping that is a bomb", zipped([(WRAPPED, BOMB, {"method": 8})])
    yield "an empty archive", zipped([])
    yield "cut short", whole[:-30]
    yield "something in front", b"#!/bin/sh\n" + whole
    yield "something behind", whole + b"more"
    yield "a comment", zipped(good, comment=b"x" * 60_000)
    yield "a list longer than the file", zipped(good, said={"length": 1 << 30})
    yield "a list that starts nowhere", zipped(good, said={"start": 1 << 31})
    yield "too many by its own count", zipped(good, said={"count": 60_000})
    yield "larger than any model of this shape", whole + bytes(4 << 20)


def wrapping(model: bytes) -> bytes:
    """Return a model file as FEDn's successor hands it over."""
    return zipped([("metadata.json", b"{}", {}), (WRAPPED, model, {"method": 8})])


def generated(random: Random, odd: dict[str, list[Member]]) -> bytes:
    arrays = trained(random)
    encoded = [
        npy(
            array.astype(random.choice([np.float32, np.float32, np.float64])),
            fortran_order=random.random() < 0.3,
        )
        for array in arrays
    ]
    parts = members(encoded)
    method = random.choice([0, 0, 8])
    parts = [(name, content, {"method": method}) for name, content, _ in parts]
    match random.randrange(9):
        case 0:
            parts = random.choice(list(odd.values()))
        case 1:
            place = random.randrange(len(parts))
            parts[place] = (*parts[place][:2], random_lies(random))
        case 2:
            said: dict[str, Any] = {
                "descr": random.choice(DESCRS),
                "shape": random.choice(SHAPES),
                "fortran_order": random.choice([True, False, False, 1, None]),
                "length": random.choice(NUMBERS) % 65_536,
                "version": random.choice([(1, 0), (2, 0), (3, 0)]),
                "header": random.choice(HEADERS),
            }
            kept = random.sample(sorted(said), random.randint(1, 2))
            parts[0] = ("0.npy", npy(arrays[0], **{name: said[name] for name in kept}), {})
        case 3:
            place = random.randrange(len(parts))
            name, content, lies = parts[place]
            parts[place] = (name, broken(random, content), lies)
        case 4:
            random.shuffle(parts)
        case 5:
            parts += random.choice(list(odd.values()))[:3]
        case 6:
            bad = random.choice([np.nan, np.inf, -np.inf, 1e39, 1e300])
            values = arrays[0].astype(np.float64)
            values[random.randrange(3), random.randrange(4)] = bad
            parts[0] = ("0.npy", npy(values), {"method": method})
    made = zipped(parts)
    if random.random() < 0.2:
        made = wrapping(made)
    return broken(random, made) if random.random() < 0.4 else made


def plainly_read(content: bytes) -> list[Array]:
    """Return what numpy's own reader finds in a model file, brought to float32."""
    with zipfile.ZipFile(io.BytesIO(content)) as outer:
        if WRAPPED in outer.namelist():
            content = outer.read(WRAPPED)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive, np.errstate(all="ignore"):
        return [archive[str(n)].astype(np.float32) for n in range(len(archive.files))]


def model(scratch: Path) -> Target:
    """Read a model file, for a model of three small arrays."""
    file = scratch / "in"
    good = [npy(array) for array in trained()]
    odd = {name: parts for name, parts in odd_members(good).items() if "bomb" not in name}

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = weights.load(file, like=LIKE)
        for array, other, like in zip(found, plainly_read(case), LIKE, strict=True):
            if (array.shape, array.dtype) != (like.shape, like.dtype):
                raise WrongError(f"took {array.dtype}{array.shape}")
            if not np.isfinite(array).all() or not np.array_equal(array, other):
                raise WrongError("took other numbers than are in the file")
        return True

    def generate(random: Random) -> bytes:
        return generated(random, odd)

    return Target(corpus(), ["as FEDn saves"], generate, judge, (PackageError,))
