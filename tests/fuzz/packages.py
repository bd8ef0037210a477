"""A compute package that a site unpacks: the kind `package`."""

import gzip
import io
import tarfile
from pathlib import Path
from random import Random
from typing import Any

from fednkit.joining import _package
from fuzz.kinds import Target, WrongError
from fuzz.mutation import broken

# A member of a tar: what its header says.
Entry = tuple[str, bytes, dict[str, Any]]


def tarred(entries: list[Entry], form: int = tarfile.PAX_FORMAT) -> bytes:
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


def corpus() -> dict[str, bytes]:
    good = tarred(GOOD)
    folder: Entry = ("model", b"", {"type": tarfile.DIRTYPE})
    long: Entry = ("a", b"1", {"pax_headers": {"comment": "x" * (12 << 20)}})
    return {name: gzip.compress(tarred(entries)) for name, entries in ODD.items()} | {
        "a good package": gzip.compress(good),
        "a good package with folders": gzip.compress(tarred([folder, *GOOD])),
        "no bytes": b"",
        "no gzip": good,
        "no tar": gzip.compress(b"x" * 2000),
        "cut short": gzip.compress(good)[:-20],
        "a tar cut short": gzip.compress(good[:700]),
        "16 MB of zeros": gzip.compress(bytes(16 << 20), 9),
        "a header that is 12 MB long": gzip.compress(tarred([long])),
        "something behind its end": gzip.compress(good) + b"garbage",
        "two in one": gzip.compress(good) + gzip.compress(good),
    }


def generate(random: Random) -> bytes:
    entries = random.sample([*GOOD, *(one for odd in list(ODD.values())[:-1] for one in odd)], 3)
    if random.random() < 0.4:
        entries = list(GOOD)
    form = random.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    try:
        made = tarred(entries, form)
    except ValueError:
        # A name that the old format cannot hold.
        made = tarred(GOOD)
    if random.random() < 0.5:
        made = broken(random, made)
    made = gzip.compress(made, 1)
    return broken(random, made) if random.random() < 0.3 else made


def plainly_unpacked(content: bytes) -> dict[str, bytes]:
    """Return what Python's own reader finds in an archive: its files by their paths."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
        # One by one, because each open file holds a buffer.
        return {
            Path(member.name).as_posix(): file.read()
            for member in archive
            if member.isfile() and (file := archive.extractfile(member))
        }


def package(scratch: Path) -> Target:
    """Unpack a compute package as a site does."""
    # So that a bomb is one at 8 MB already.
    _package.MAX_UNPACKED_BYTES = 8 << 20
    folder, file = scratch / "in", scratch / "in.tgz"

    def judge(case: bytes) -> bool:
        folder.mkdir()
        try:
            _package.extract(file, case, folder)
        except SystemExit as error:
            message = str(error.code)
            if not message.startswith("error: ") or not message.isprintable():
                raise WrongError(f"says {message[:200]!r}") from None
            return False
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        if found != (expected := plainly_unpacked(case)):
            raise WrongError(f"unpacked {sorted(found)}, expected {sorted(expected)}")
        return True

    return Target(corpus(), ["a good package"], generate, judge)
