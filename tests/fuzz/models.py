"""Model files: the kind `model`, as they are read, and `step`, as an entry point meets them."""

import contextlib
import importlib
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from fuzz.archives import Member, random_lies, squeezed, zipped
from fuzz.kinds import Judged, WrongError
from fuzz.mutation import NUMBERS, ODD_JSON, as_text, broken, mangled

Array = npt.NDArray[Any]
# What a bomb unfolds to: more than any kind may take.
BOMB = bytes(12 << 20)
WRAPPED = "training_model.bin"


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
    """Return arrays as the members of a model file."""
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
    *(
        "<f4",
        ">f4",
        "<f8",
        ">f8",
        "<f2",
        "|u1",
        "<i4",
        "<c8",
        "|O",
        "O",
        "|V4",
        "<U1",
        "|S1",
        "<M8[ns]",
    ),
    *("|V999999999", "<U99999999", "", "f", "<f99", "?", "<m8", [], [("a", "<f4")], [("a", "|O")]),
    *(
        [("a", "<f4", (2**31,))],
        ("<f4", (3,)),
        ["x"],
        7,
        None,
        [("a", "<f4"), ("a", "<f4")],
        {"a": 1},
    ),
    [("\udc80", "<f4")],
    "<f4,<f4",
    "(2,)<f4",
    "<f16",
]
SHAPES: list[Any] = [
    *(
        (3,),
        (),
        (0,),
        (3, 1),
        (1, 3),
        (2, 3),
        (3, 2),
        (-3,),
        (-1, -3),
        (2**30,),
        (2**62, 4),
        (10**30,),
    ),
    *(
        (0, 10**30),
        (2**31, 2**31, 0),
        [3],
        3,
        None,
        "3",
        (3.0,),
        (True,),
        ("x",),
        (1,) * 40,
        (1,) * 70,
    ),
]


def odd_members(good: list[bytes]) -> dict[str, list[Member]]:
    """Return lists of members that are no model, by what they are; `good` is one."""
    first, *rest = members(good)
    odd: dict[str, list[Member]] = {
        "no members": [],
        "one array too few": members(good)[:-1],
        "one array too many": [*members(good), ("9.npy", good[0], {})],
        "an array twice": [*members(good), first],
        "an array twice under one number": [first, first, *rest],
        "names without their ending": [(name[:-4], array, {}) for name, array, _ in members(good)],
        "a member that is no array": [("0.npy", b"hello", {}), *rest],
        "an empty member": [("0.npy", b"", {}), *rest],
        "a path upwards": [("../0.npy", good[0], {}), *rest],
        "an absolute path": [("/tmp/0.npy", good[0], {}), *rest],
        "a number with a zero in front": [("00.npy", good[0], {}), *rest],
        "a number in Arabic digits": [("٠.npy", good[0], {}), *rest],
        "a name that is another line": [("x\nerror: y.npy", good[0], {}), *rest],
        "a name of 60,000 characters": [("x" * 60_000, good[0], {}), *rest],
        "a name that ends in the middle": [("0.npy\0.txt", good[0], {}), *rest],
        "ten thousand members": [(f"{n}.npy", b"", {}) for n in range(10_000)],
        "an encrypted member": [("0.npy", good[0], {"flags": 1}), *rest],
        "strong encryption": [("0.npy", good[0], {"flags": 0x41}), *rest],
        "patched data": [("0.npy", good[0], {"flags": 0x20}), *rest],
        "an unknown packing": [("0.npy", good[0], {"method": 99}), *rest],
        "a wrong checksum": [("0.npy", good[0], {"crc": 1}), *rest],
        "a member larger than the file": [
            ("0.npy", good[0], {"size": 1 << 31, "packed": 1 << 31}),
            *rest,
        ],
        "4 GB by zip64": [
            ("0.npy", good[0], {"size": 1 << 40, "packed": 1 << 40, "zip64": 1}),
            *rest,
        ],
        "a member somewhere else": [("0.npy", good[0], {"offset": 1 << 31}), *rest],
        "two members in one place": [first, ("1.npy", good[1], {"offset": 0}), *rest[1:]],
        "a bomb of zeros": [("0.npy", good[0] + BOMB, {"method": 8}), *rest],
        "a bomb that claims to be small": [
            ("0.npy", good[0] + BOMB, {"method": 8, "size": len(good[0])}),
            *rest,
        ],
        "half the data": [("0.npy", good[0][:-4], {}), *rest],
        "more data than it says": [("0.npy", good[0] + b"more", {}), *rest],
    }
    for number, header in enumerate(HEADERS):
        odd[f"header {number}"] = [("0.npy", npy(header=header), {}), *rest]
    for number, descr in enumerate(DESCRS):
        odd[f"dtype {number}"] = [("0.npy", npy(descr=descr), {}), *rest]
    for number, shape in enumerate(SHAPES):
        odd[f"shape {number}"] = [("0.npy", npy(shape=shape), {}), *rest]
    for version in ((0, 0), (1, 1), (2, 0), (3, 0), (4, 0), (255, 255)):
        odd[f"version {version}"] = [("0.npy", npy(version=version), {}), *rest]
    odd["a header of 4 GB"] = [("0.npy", npy(version=(2, 0), length=2**32 - 1), {}), *rest]
    odd["a header longer than the file"] = [("0.npy", npy(length=65_535), {}), *rest]
    return odd


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
    """Return arrays under FEDn's keys."""
    return {str(index): array for index, array in enumerate(arrays)}


class Exploit:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


@cache
def corpus() -> dict[str, bytes]:
    """Return model files of every kind, good and hostile, by what they are."""
    arrays = trained()
    good = [npy(array) for array in arrays]
    whole = zipped(members(good))
    found = {
        "as FEDn saves": saved(numbered(arrays)),
        "compressed": saved(numbered(arrays), np.savez_compressed),
        "in float64": saved(numbered([array.astype(np.float64) for array in arrays])),
        "in the other order": saved(numbered([np.asfortranarray(array) for array in arrays])),
        "backwards": saved(dict(reversed(numbered(arrays).items()))),
        "in the successor's wrapping": zipped(
            [("metadata.json", b"{}", {}), (WRAPPED, whole, {"method": 8})]
        ),
        "in two wrappings": zipped([(WRAPPED, zipped([(WRAPPED, whole, {})]), {})]),
        "in a wrapping twice": zipped([(WRAPPED, whole, {}), (WRAPPED, whole, {})]),
        "a wrapping with nothing in it": zipped([(WRAPPED, b"", {})]),
        "a wrapping that is a bomb": zipped([(WRAPPED, BOMB, {"method": 8})]),
        "a bare array": npy(arrays[0]),
        "no bytes": b"",
        "an empty archive": zipped([]),
        "cut short": whole[:-30],
        "something in front": b"#!/bin/sh\n" + whole,
        "something behind": whole + b"more",
        "a comment": zipped(members(good), comment=b"x" * 60_000),
        "a list longer than the file": zipped(members(good), said={"length": 1 << 30}),
        "a list that starts nowhere": zipped(members(good), said={"start": 1 << 31}),
        "too many by its own count": zipped(members(good), said={"count": 60_000}),
        "a megabyte of nothing": bytes(1 << 20),
        "larger than any model of this shape": whole + bytes(4 << 20),
        "infinite": saved(numbered([arrays[0] * np.float32(np.inf), *arrays[1:]])),
        "not a number": saved(numbered([*arrays[:2], np.float32(np.nan)])),
        "infinite once it is float32": saved(
            numbered([arrays[0].astype(np.float64) * 1e300, *arrays[1:]])
        ),
        "unknown to float32": saved(numbered([arrays[0].astype(np.float64) * 1e-300, *arrays[1:]])),
        "texts": saved(numbered([np.array(["a"] * 3), *arrays[1:]])),
        "whole numbers": saved(numbered([arrays[0].astype(np.int32), *arrays[1:]])),
        "a pickle": saved(numbered([np.array([Exploit()], dtype=object), *arrays[1:]])),
        "a pickle alone": b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.",
        "a bomb packed by LZMA": squeezed(BOMB, zipfile.ZIP_LZMA),
        "a bomb packed by bzip2": squeezed(BOMB, zipfile.ZIP_BZIP2),
    }
    return found | {name: zipped(odd) for name, odd in odd_members(good).items()}


def generated(random: Random, odd: dict[str, list[Member]]) -> bytes:
    """Return a model file: good, odd or broken."""
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
        wrapping: list[Member] = [("metadata.json", b"{}", {}), (WRAPPED, made, {"method": 8})]
        made = zipped(wrapping)
    return broken(random, made) if random.random() < 0.4 else made


def plainly_read(content: bytes) -> list[Array]:
    """Return what numpy's own reader finds in a model file, brought to float32."""
    with zipfile.ZipFile(io.BytesIO(content)) as outer:
        if WRAPPED in outer.namelist():
            content = outer.read(WRAPPED)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive, np.errstate(all="ignore"):
        return [archive[str(n)].astype(np.float32) for n in range(len(archive.files))]


def model(project: Path, scratch: Path) -> Judged:
    """Read a model file, for a model of three small arrays."""
    weights: Any = importlib.import_module("model.weights")
    errors: Any = importlib.import_module("model.errors")
    file = scratch / "in"
    good = [npy(array) for array in trained()]
    odd = {name: parts for name, parts in odd_members(good).items() if "bomb" not in name}

    def judge(case: bytes) -> bool:
        file.write_bytes(case)
        found = weights.load(file, like=LIKE)
        expected = plainly_read(case)
        for array, other, like in zip(found, expected, LIKE, strict=True):
            if (array.shape, array.dtype) != (like.shape, like.dtype):
                raise WrongError(f"took {array.dtype}{array.shape}")
            if not np.isfinite(array).all() or not np.array_equal(array, other):
                raise WrongError("took other numbers than are in the file")
        return True

    return Judged(corpus(), lambda random: generated(random, odd), judge, (errors.PackageError,))


SETTINGS: dict[str, Any] = {"epochs": 1, "batch_size": 8, "learning_rate": 0.01}
TABLE = "\n".join(
    [
        "amount,hour,weekend,customer_count_7d,customer_mean_7d,terminal_count_7d,"
        "terminal_risk_7d,region,fraud",
        *(f"{n}.5,{n % 24},true,1,2,3,0.1,north,{n % 2}" for n in range(20)),
    ]
)


def step(project: Path, scratch: Path) -> Judged:
    """Do a whole step with a hostile model file or hostile settings, as entry points do.

    It must end with 0 and its output, or with 1, one line, and no output at all.
    """
    steps: Any = importlib.import_module("steps")
    table = scratch / "in.csv"
    table.write_text(TABLE, encoding="utf-8")
    os.environ["FEDN_DATA_PATH"] = str(table)
    site = steps.Site()
    like = site.classifier().get_weights()
    good = saved(numbered(like))
    model_in, sent, out = scratch / "in", scratch / "in-metadata", scratch / "out"

    def judge(case: tuple[str, bytes, bytes]) -> bool:
        name, content, metadata = case
        model_in.write_bytes(content)
        sent.write_bytes(metadata)
        printed = io.StringIO()
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            code = steps.perform(name, str(model_in), str(out), site)
        made = sorted(path.name for path in scratch.glob("*out*"))
        for path in scratch.glob("*out*"):
            path.unlink()
        text = printed.getvalue()
        if code == 0:
            if text or made != (["out", "out-metadata"] if name == "train" else ["out"]):
                raise WrongError(f"took it, made {made} and said {text!r}")
            return True
        if code != 1 or made or not text.startswith("error: ") or not text[:-1].isprintable():
            raise WrongError(f"refused it with {code}, made {made} and said {text!r}")
        return False

    def settings(random: Random) -> bytes:
        value = mangled(random, SETTINGS) if random.random() < 0.7 else SETTINGS
        if isinstance(value, dict):
            # So that no step takes longer than another.
            value = {k: v for k, v in value.items() if k != "epochs" or v == 1}
        return as_text(random, value)

    def generate(random: Random) -> tuple[str, bytes, bytes]:
        name = random.choice(["train", "validate", "predict"])
        content = broken(random, good) if random.random() < 0.5 else good
        return name, content, settings(random)

    plain = json.dumps(SETTINGS).encode()
    tried = {
        f"{name}, {what}": (name, content, plain)
        for what, content in corpus().items()
        for name in (("train", "validate") if what == "a pickle" else ("train",))
    }
    large = [array + np.float32(1e25) for array in like]
    tried["weights so large that training overflows"] = ("train", saved(numbered(large)), plain)
    tried |= {f"settings: {what}": ("train", good, text) for what, text in ODD_JSON.items()}
    # What is imported, and reserved, with the first step is none of a case's.
    judge(("train", good, plain))
    return Judged(tried, generate, judge, ())
