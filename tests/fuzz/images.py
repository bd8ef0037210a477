"""Images: the kinds `images` and `images to draft from`."""

import contextlib
import importlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzz.archives import Member, random_lies, zipped
from fuzz.kinds import Judged, WrongError
from fuzz.models import DESCRS, HEADERS, SHAPES, Array, npy, saved
from fuzz.mutation import NUMBERS, broken

SHAPE = (28, 28)


def good(count: int = 10) -> dict[str, Array]:
    """Return images in Keras' layout."""
    made = np.random.default_rng(count)
    found: dict[str, Array] = {}
    for part, size in (("train", count), ("test", max(count // 5, 1))):
        found[f"x_{part}"] = made.integers(0, 256, (size, *SHAPE)).astype(np.uint8)
        found[f"y_{part}"] = (np.arange(size) % 10).astype(np.uint8)
    return found


def members(arrays: dict[str, bytes], method: int = 0) -> list[Member]:
    """Return arrays as the members of an npz."""
    return [(f"{name}.npy", content, {"method": method}) for name, content in arrays.items()]


def corpus() -> dict[str, bytes]:
    """Return files of every kind by what they are."""
    arrays = good()
    plain = {name: npy(array) for name, array in arrays.items()}
    zeros = np.zeros((50_000, *SHAPE), np.uint8)
    found = {
        "good images": saved(arrays),
        "compressed images": saved(arrays, np.savez_compressed),
        "images in the other order": saved({k: np.asfortranarray(v) for k, v in arrays.items()}),
        "one class": saved({**arrays, "y_train": np.zeros(10, np.uint8)}),
        "no images": saved({**arrays, "x_train": np.zeros((0, *SHAPE), np.uint8)}),
        "no dimensions": saved({**arrays, "x_train": np.array(1, np.uint8)}),
        "labels of no dimensions": saved({**arrays, "y_train": np.array(1, np.uint8)}),
        "an array too few": saved({k: v for k, v in arrays.items() if k != "y_test"}),
        "an array too many": saved({**arrays, "more": np.zeros(5)}),
        "a name that is another line": saved({"a\nerror: b": np.zeros(5)}),
        "a pickle": saved({**arrays, "y_train": np.array([{}] * 10, dtype=object)}),
        "labels that are texts": saved({**arrays, "y_train": np.array(["1", "2"] * 5)}),
        "labels that are long texts": saved({**arrays, "y_train": np.array(["x" * 9999, "2"] * 5)}),
        "labels that are dates": saved({**arrays, "y_train": np.array(["2020"] * 10, "M8[D]")}),
        "labels that are structures": saved({**arrays, "y_train": np.zeros(10, [("a", "<i4")])}),
        "labels that are complex": saved({**arrays, "y_train": np.zeros(10, complex)}),
        "labels that are true and false": saved({**arrays, "y_train": np.arange(10) % 2 == 1}),
        "labels that are not numbers": saved({**arrays, "y_train": np.full(10, np.nan)}),
        "labels beyond all classes": saved({**arrays, "y_train": np.full(10, 2**62)}),
        "labels below zero": saved({**arrays, "y_train": np.arange(10) - 5}),
        "two kinds of numbers": saved({**arrays, "x_test": arrays["x_test"].astype(np.float32)}),
        "a bomb of images": saved({**arrays, "x_train": zeros}, np.savez_compressed),
        "a bomb of labels": saved({**arrays, "y_train": np.zeros(5_000_000)}, np.savez_compressed),
        "a bomb that nobody reads": saved({**arrays, "more": zeros}, np.savez_compressed),
        "a bare array": npy(arrays["x_train"]),
        "no bytes": b"",
        "cut short": saved(arrays)[:-30],
        "ten thousand members": zipped([(f"{n}.npy", b"", {}) for n in range(10_000)]),
        "encrypted": zipped([(name, content, {"flags": 1}) for name, content, _ in members(plain)]),
        "an array twice": zipped(members(plain) * 2),
        "a header that claims 4 GB": zipped(
            members({**plain, "x_train": npy(arrays["x_train"], shape=(1 << 23, *SHAPE))})
        ),
        "members that claim 4 GB": zipped(
            [
                (name, content, {"size": 1 << 32, "packed": 1 << 32, "zip64": 1})
                for name, content, _ in members(plain)
            ]
        ),
    }
    for name in plain:
        said = [{"header": h} for h in HEADERS] + [{"shape": s} for s in SHAPES]
        for number, lie in enumerate([*said, *({"descr": d} for d in DESCRS)]):
            odd = {**plain, name: npy(arrays[name], **lie)}
            found[f"{name}: {number}"] = zipped(members(odd))
    return found


def generate(random: Random) -> bytes:
    """Return a file: good, odd or broken."""
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


def images(project: Path, scratch: Path) -> Judged:
    """Read a site's images."""
    data: Any = importlib.import_module("model.data")
    errors: Any = importlib.import_module("model.errors")
    # So that a bomb is one at 1 MB already.
    data.LARGEST = 1 << 20
    file = scratch / "in.npz"

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = data.load("all", file)
        with np.load(io.BytesIO(case), allow_pickle=False) as arrays:
            pixels = np.concatenate([arrays["x_train"], arrays["x_test"]])
            labels = np.concatenate([arrays["y_train"], arrays["y_test"]])
        expected = pixels.astype(np.float32) / np.float32(255)
        if found.features.dtype != np.float32 or not np.array_equal(found.features, expected):
            raise WrongError("took other pixels than are in the file")
        if found.labels.tolist() != labels.astype(np.int64).tolist():
            raise WrongError("took other labels than are in the file")
        return True

    judge(saved(good()))
    return Judged(corpus(), generate, judge, (errors.PackageError,))


def draft(project: Path, scratch: Path) -> Judged:
    """Draft a contract from images; the images must keep it."""
    contract: Any = importlib.import_module("federation.contract")
    package: Any = importlib.import_module("model.npz")
    layout: Callable[[Any], str] = importlib.import_module("federation.schema").layout
    error: Any = importlib.import_module("federation.project").ProjectError
    data: Any = importlib.import_module("model.data")
    schema: Any = importlib.import_module("model.schema")
    mistake: Any = importlib.import_module("model.errors").PackageError
    package.LARGEST = 1 << 20
    file, written = scratch / "in.npz", scratch / "in.json"
    kept_to(project)

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        made = contract.draft(file, None)
        written.write_text(layout(made), encoding="utf-8")
        json.loads(layout(made))
        try:
            data.SCHEMA = schema.Schema.read(written)
            data.IMAGE, data.LABEL = data.SCHEMA.features[0], data.SCHEMA.label
            found = data.load("all", file)
        except mistake as wrong:
            # A part to train on may lack what the other has, which a draft does not look at.
            if "two classes" in str(wrong):
                return False
            raise WrongError(f"drafted what it does not keep: {wrong}") from None
        if not np.isfinite(found.features).all():
            raise WrongError("drafted a scale that float32 cannot hold")
        return True

    judge(saved(good()))
    return Judged(corpus(), generate, judge, (error,))


def kept_to(project: Path) -> None:
    """Let the project's tools import the library where it lies, without unpacking it anew."""

    @contextlib.contextmanager
    def in_place() -> Iterator[Path]:
        yield project / "client"

    for name in ("federation.samples", "federation.runs"):
        vars(importlib.import_module(name))["imported_package"] = in_place
