"""Zip and tar files as nobody writes them; and the kind `package`, which a site unpacks."""

import gzip
import importlib.util
import io
import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from random import Random
from typing import Any

from fuzz.kinds import Judged, WrongError
from fuzz.mutation import NUMBERS, broken

# A member of a zip: its name, its content, and what its headers say instead of the truth.
Member = tuple[str, bytes, dict[str, int]]


def zipped(
    members: list[Member], *, comment: bytes = b"", said: dict[str, int] | None = None
) -> bytes:
    """Return a zip file whose headers may lie.

    Of a member: method, flags, crc, packed, size, offset, zip64. Of the whole, in `said`: count,
    length and start of the list.
    """
    out, listed = bytearray(), bytearray()
    for name, content, lies in members:
        method = lies.get("method", 0) & 0xFFFF
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = squeeze.compress(content) + squeeze.flush() if method == 8 else content
        raw = name.encode("utf-8", "surrogatepass")
        flags = lies.get("flags", 0 if raw.isascii() else 0x800)
        crc, size = lies.get("crc", zlib.crc32(content)), lies.get("size", len(content))
        length = lies.get("packed", len(packed))
        extra = b""
        if lies.get("zip64"):
            extra = struct.pack("<HHQQ", 1, 16, size, length)
            size = length = 0xFFFFFFFF
        head = struct.pack(
            "<HHHHHIIIHH",
            20,
            flags & 0xFFFF,
            method,
            0,
            0x21,
            crc & 0xFFFFFFFF,
            length & 0xFFFFFFFF,
            size & 0xFFFFFFFF,
            len(raw),
            len(extra),
        )
        offset = lies.get("offset", len(out)) & 0xFFFFFFFF
        out += b"PK\x03\x04" + head + raw + extra + packed
        listed += b"PK\x01\x02" + b"\x14\x03" + head + struct.pack("<HHHII", 0, 0, 0, 0, offset)
        listed += raw + extra
    said = said or {}
    count = said.get("count", len(members)) & 0xFFFF
    length, start = said.get("length", len(listed)), said.get("start", len(out))
    end = struct.pack(
        "<HHHHIIH", 0, 0, count, count, length & 0xFFFFFFFF, start & 0xFFFFFFFF, len(comment)
    )
    return bytes(out + listed + b"PK\x05\x06" + end + comment)


def squeezed(content: bytes, method: int, name: str = "0.npy") -> bytes:
    """Return a zip with one member, packed in one of zipfile's own ways."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def random_lies(random: Random) -> dict[str, int]:
    """Return what a member's headers may say instead of the truth."""
    names = ["method", "flags", "crc", "packed", "size", "offset", "zip64"]
    return {
        name: random.choice([*NUMBERS, 8, 12, 14, 93]) % (1 << 63)
        for name in random.sample(names, 1)
    }


# A member of a tar: what its header says.
Entry = tuple[str, bytes, dict[str, Any]]


def tarred(entries: list[Entry], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content, more in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for key, value in more.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return buffer.getvalue()


GOOD: list[Entry] = [("fedn.yaml", b"entry_points:\n", {}), ("model/data.py", b"A = 1\n" * 50, {})]
LINK: dict[str, Any] = {"type": tarfile.SYMTYPE, "linkname": "/etc"}
ODD: dict[str, list[Entry]] = {
    "nothing in it": [],
    "a path upwards": [("../x", b"x", {})],
    "a path upwards in the middle": [("model/../../x", b"x", {})],
    "an absolute path": [("/tmp/x", b"x", {})],
    "a path of Windows": [("C:\\x", b"x", {}), ("..\\x", b"x", {})],
    "a symbolic link": [("link", b"", LINK)],
    "a file through a symbolic link": [("link", b"", LINK), ("link/x", b"x", {})],
    "a hard link": [("link", b"", {"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"})],
    "a device": [("null", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
    "a pipe": [("pipe", b"", {"type": tarfile.FIFOTYPE})],
    "a file twice": [("a", b"1", {}), ("a", b"2", {})],
    "a file below a file": [("a", b"1", {}), ("a/b", b"2", {})],
    "a name with a line end": [("a\nerror: b", b"1", {})],
    "a name without an end": [("x" * 4000, b"1", {})],
    "an empty part of a name": [("a//b", b"1", {})],
    "headers of its own": [("a", b"1", {"pax_headers": {"path": "../../x", "size": "999999"}})],
    "a size that is none": [("a", b"1", {"pax_headers": {"size": "x"}})],
    "a sparse file": [
        ("a", b"1", {"pax_headers": {"GNU.sparse.map": "0,9999999999", "GNU.sparse.size": "9"}})
    ],
    "eleven thousand files": [(f"f{n}", b"", {}) for n in range(11_000)],
}


def package(project: Path, scratch: Path) -> Judged:
    """Unpack a compute package as a site does."""
    spec = importlib.util.spec_from_file_location("verify", project / "joining" / "verify.py")
    assert spec
    assert spec.loader
    verify: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(verify)
    # So that a bomb is one at 8 MB already.
    verify.LARGEST = 8 << 20
    folder, file = scratch / "in", scratch / "in.tgz"

    def judge(case: bytes) -> bool:
        folder.mkdir()
        try:
            verify.unfold(file, case, folder)
        except SystemExit as error:
            message = str(error.code)
            if not message.startswith("error: ") or not message.isprintable():
                raise WrongError(f"says {message[:200]!r}") from None
            return False
        else:
            found = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file()
            }
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(case))) as archive:
                files = [member for member in archive if member.isfile()]
                expected = {
                    Path(member.name).as_posix(): archive.extractfile(member).read()  # type: ignore[union-attr]
                    for member in files
                }
            if found != expected:
                raise WrongError(f"unpacked {sorted(found)}, expected {sorted(expected)}")
            return True

    good = tarred(GOOD)
    corpus = {name: gzip.compress(tarred(entries)) for name, entries in ODD.items()}
    corpus |= {
        "a good package": gzip.compress(good),
        "a good package with folders": gzip.compress(
            tarred([("model", b"", {"type": tarfile.DIRTYPE}), *GOOD])
        ),
        "no bytes": b"",
        "no gzip": good,
        "no tar": gzip.compress(b"x" * 2000),
        "cut short": gzip.compress(good)[:-20],
        "a tar cut short": gzip.compress(good[:700]),
        "16 MB of zeros": gzip.compress(bytes(16 << 20), 9),
        "a header that is 12 MB long": gzip.compress(
            tarred([("a", b"1", {"pax_headers": {"comment": "x" * (12 << 20)}})])
        ),
        "something behind its end": gzip.compress(good) + b"garbage",
        "two in one": gzip.compress(good) + gzip.compress(good),
    }

    def generate(random: Random) -> bytes:
        entries = random.sample(
            [*GOOD, *(one for odd in list(ODD.values())[:-1] for one in odd)], 3
        )
        if random.random() < 0.4:
            entries = list(GOOD)
        form = random.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
        try:
            made = tarred(entries, form)
        except ValueError:
            # A name that the old format cannot hold.
            made = good
        if random.random() < 0.5:
            made = broken(random, made)
        made = gzip.compress(made, 1)
        return broken(random, made) if random.random() < 0.3 else made

    return Judged(corpus, generate, judge, (), lambda: shutil.rmtree(folder))
