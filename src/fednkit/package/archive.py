"""Build the compute package: a tar.gz whose bytes depend only on its sources.

It contains client/ and the sources of the library `fednsite`, so that all code that touches a
site's data is in the archive. This uses only the standard library, because the template's hook
builds the first archive before anything is installed.
"""

import fnmatch
import hashlib
import io
import os
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from fednsite.files import write_atomically

from ..project.config import current
from ..project.errors import ProjectError
from ..project.paths import shown
from . import leaks, signing, tables

if TYPE_CHECKING:
    # Python 3.10 has it in another module.
    from importlib.abc import Traversable

__all__ = [
    "MAX_FILE_MEGABYTES",
    "Options",
    "archive_bytes",
    "build",
    "check_fresh",
    "collect",
    "gzip_stored",
    "library_sources",
    "package_files",
    "run",
]

# Sources are small.
MAX_FILE_MEGABYTES = 10
LIBRARY = "fednsite"
DATA_SUFFIXES = {
    *(".arrow", ".csv", ".db", ".feather", ".h5", ".hdf5", ".joblib", ".keras", ".npy", ".npz"),
    *(".orc", ".parquet", ".pickle", ".pkl", ".pt", ".pth", ".sqlite", ".tsv", ".xls", ".xlsx"),
}
# Left by running, testing and editing; an owner's .fednignore adds to these.
ALWAYS_IGNORED = [
    *(".fednignore", ".scaleoutignore", "__pycache__", "*.pyc", ".*_cache", ".worker"),
    *(".venv", "venv", ".DS_Store"),
]
SECRET_NAMES = (".env", ".env.*", ".netrc", ".pypirc", "*.key", "*.p12", "*.pem", "*.pfx", "id_*sa")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit package`.

    Attributes:
        max_size: Reject files larger than this, in MB.
        key: The secret key to sign with (default: the one from `fednkit key`).
    """

    max_size: float = MAX_FILE_MEGABYTES
    key: Path | None = None


def run(options: Options) -> None:
    """Build the archive; sign it if the project has a key."""
    build(current().archive, options.max_size)
    if signature := signing.sign_archive(options.key):
        version = signing.comment_of(signature.read_text("utf-8")).get("version")
        print(f"signed: {shown(signature)}, version {version}")


def build(archive: Path, max_size: float = MAX_FILE_MEGABYTES) -> str:
    """Build an archive of the client/ in the same folder, print a summary, and return its SHA-256.

    Args:
        archive: The file to write, in the project's root.
        max_size: Maximum size of a file, in MB.

    Raises:
        ProjectError: A file must not be shipped, or client/ has no fedn.yaml.
    """
    members = package_files(archive.parent / "client", max_size)
    content = archive_bytes(members)
    write_atomically(archive, content)
    print(f"{shown(archive)}: {len(members)} files, {len(content):,} bytes")
    digest = hashlib.sha256(content).hexdigest()
    print(f"SHA-256 {digest}")
    return digest


def check_fresh() -> None:
    """Raise `ProjectError` unless the archive exists and matches its current sources."""
    archive, client = current().archive, current().client
    if not archive.exists():
        raise ProjectError(f"{shown(archive)}: expected the package, found none; run: make package")
    if archive.read_bytes() != archive_bytes(package_files(client)):
        raise ProjectError(f"{shown(archive)} is older than its sources; run: make package")


def package_files(client: Path, max_size: float = MAX_FILE_MEGABYTES) -> dict[str, bytes]:
    """Return the content of all files of the archive by their path in it, sorted.

    These are the files in client/, the library, and scaleout.yaml, a copy of fedn.yaml for FEDn's
    successor.
    """
    members = collect(client, max_size)
    members |= library_sources()
    members.setdefault("scaleout.yaml", members["fedn.yaml"])
    return dict(sorted(members.items()))


def library_sources() -> dict[str, bytes]:
    """Return the sources of the installed library, by their path in the archive."""
    return dict(_sources(files(LIBRARY), LIBRARY))


def _sources(folder: "Traversable", path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        below = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from _sources(entry, below)
        elif entry.name.endswith(".py") or entry.name == "py.typed":
            yield below, entry.read_bytes()


def collect(folder: Path, max_size: float = MAX_FILE_MEGABYTES) -> dict[str, bytes]:
    """Return the files in client/ that are shipped, by their path in the archive, sorted.

    Args:
        folder: The compute package's sources.
        max_size: Maximum size of a file, in MB.

    Raises:
        ProjectError: There is no fedn.yaml, or files must not be shipped; the message names them.
    """
    if not (folder / "fedn.yaml").is_file():
        raise ProjectError(f"{shown(folder)}: expected a fedn.yaml in it, found none")
    members, rejected = {}, []
    for path in walk(folder, ignore_patterns(folder)):
        name = path.relative_to(folder).as_posix()
        if reason := why_not(path, max_size):
            rejected.append(f"{shown(path)} {reason}")
        elif name.startswith(f"{LIBRARY}/"):
            rejected.append(f"{shown(path)} is in the place of the library, which is added here")
        else:
            members[name] = path.read_bytes()
    if rejected:
        raise ProjectError(
            f"refused to package: {'; '.join(rejected)}. "
            f"Move it out of {shown(folder)}, or name it in {shown(folder / '.fednignore')}"
        )
    return dict(sorted(members.items()))


def ignore_patterns(folder: Path) -> list[str]:
    """Return the patterns of files to leave out: caches, and .fednignore as FEDn reads it."""
    file = folder / ".fednignore"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    own = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [*ALWAYS_IGNORED, *own]


def walk(folder: Path, patterns: list[str]) -> Iterator[Path]:
    """Yield every file and symbolic link that matches none of the patterns."""

    def ignored(path: Path) -> bool:
        names = path.name, str(path.relative_to(folder))
        return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in patterns)

    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = [name for name in folders if not ignored(here / name)]
        links = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in (*names, *links) if not ignored(here / name))


def why_not(path: Path, max_size: float) -> str | None:
    """Return why a file must not be shipped; None if it may."""
    if path.is_symlink():
        return "is a symbolic link"
    if not path.is_file():
        return "is not a regular file"
    if path.suffix.lower() in DATA_SUFFIXES:
        return "is a data or model file"
    if path.name == "pyvenv.cfg":
        return "belongs to a virtual environment"
    if path.stat().st_size > max_size * 1e6:
        return f"is larger than {max_size:g} MB"
    if any(fnmatch.fnmatch(path.name.lower(), pattern) for pattern in SECRET_NAMES):
        return "looks like a secret by its name"
    content = path.read_bytes()
    if found := leaks.find(content) or tables.find(content, is_code=path.suffix == ".py"):
        return f"holds what looks like {found}"
    return None


def archive_bytes(members: dict[str, bytes]) -> bytes:
    """Return a tar.gz of the files, without this machine's times, owners and modes."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip_stored(tar.getvalue())


def gzip_stored(content: bytes) -> bytes:
    """Wrap bytes as gzip without compressing them.

    Compressed bytes differ between zlib and its successors, so the same sources would have
    different checksums on different machines. Source code is small enough to store.
    Source: RFC 1952 (the frame, without name and time) and RFC 1951, 3.2.4 (stored blocks).
    """
    blocks = [content[start : start + 0xFFFF] for start in range(0, len(content) or 1, 0xFFFF)]
    frame = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for number, block in enumerate(blocks, start=1):
        is_last = number == len(blocks)
        frame += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    frame.append(struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))
    return b"".join(frame)
