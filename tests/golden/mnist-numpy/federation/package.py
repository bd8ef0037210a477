"""Build the compute package: a tar.gz of client/ whose bytes depend on its sources alone.

This runs on the standard library, because the template's hook builds the first archive before
anything is installed. It packs what FEDn's own `fedn package create --path client` would, and
refuses what must not reach a data provider.
"""

import argparse
import fnmatch
import hashlib
import io
import os
import struct
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import leaks, signing
from .project import ARCHIVE, CLIENT, ProjectError, shown

# Of one file, in megabytes: sources are small.
MAX_SIZE = 10
DATA_FILES = {
    *(".arrow", ".csv", ".db", ".feather", ".h5", ".hdf5", ".joblib", ".keras", ".npy", ".npz"),
    *(".orc", ".parquet", ".pickle", ".pkl", ".pt", ".pth", ".sqlite", ".tsv", ".xls", ".xlsx"),
}
SECRET_NAMES = (".env", ".env.*", ".netrc", ".pypirc", "*.key", "*.p12", "*.pem", "*.pfx", "id_*sa")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation package`."""
    parser.add_argument(
        "--max-size",
        type=float,
        default=MAX_SIZE,
        metavar="MB",
        help=f"refuse larger files (default {MAX_SIZE})",
    )
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="the secret key to sign with, if it is not where `python -m federation key` leaves it",
    )


def run(options: argparse.Namespace) -> None:
    """Build the archive; sign it, where the project has a key."""
    build(options.max_size)
    if signature := signing.sign_archive(options.key):
        version = signing.comment_of(signature.read_text("utf-8")).get("version")
        print(f"signed: {shown(signature)}, version {version}")


def build(max_size: float = MAX_SIZE) -> str:
    """Build the archive in the project's root, say what is in it, and return its SHA-256."""
    members = collect(CLIENT, max_size)
    content = archive_bytes(members)
    write_atomically(ARCHIVE, content)
    print(f"{shown(ARCHIVE)}: {len(members)} files, {len(content):,} bytes")
    digest = hashlib.sha256(content).hexdigest()
    print(f"SHA-256 {digest}")
    return digest


def check_fresh() -> None:
    """Raise `ProjectError` unless the archive is there and holds what client/ holds now."""
    if not ARCHIVE.exists():
        raise ProjectError(f"{shown(ARCHIVE)}: expected the package, found none; run: make package")
    if ARCHIVE.read_bytes() != archive_bytes(collect(CLIENT)):
        raise ProjectError(f"{shown(ARCHIVE)} is older than its sources; run: make package")


def collect(folder: Path, max_size: float = MAX_SIZE) -> dict[str, bytes]:
    """Return the package's files by their path in the archive, sorted.

    folder: the compute package's sources. max_size: of one file, in megabytes.
    Raises `ProjectError` that names every file which must not be shipped.
    """
    if not (folder / "fedn.yaml").is_file():
        raise ProjectError(f"{shown(folder)}: expected a fedn.yaml in it, found none")
    members, refused = {}, []
    for path in walk(folder, ignore_patterns(folder)):
        reason = why_not(path, max_size)
        if reason:
            refused.append(f"{shown(path)} {reason}")
        else:
            members[path.relative_to(folder).as_posix()] = path.read_bytes()
    if refused:
        raise ProjectError(
            f"refused to package: {'; '.join(refused)}. "
            f"Move it out of {shown(folder)}, or name it in {shown(folder / '.fednignore')}"
        )
    return dict(sorted(members.items()))


def ignore_patterns(folder: Path) -> list[str]:
    """Return the patterns of .fednignore, read as FEDn reads them."""
    file = folder / ".fednignore"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def walk(folder: Path, patterns: list[str]) -> Iterator[Path]:
    """Yield every file, and every symbolic link, that no pattern leaves out."""

    def ignored(path: Path) -> bool:
        names = path.name, str(path.relative_to(folder))
        return any(fnmatch.fnmatch(name, pattern) for name in names for pattern in patterns)

    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = [name for name in folders if not ignored(here / name)]
        links = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in (*files, *links) if not ignored(here / name))


def why_not(path: Path, max_size: float) -> str | None:
    """Return why a file must not be shipped, or None."""
    if path.is_symlink():
        return "is a symbolic link"
    if not path.is_file():
        return "is not a regular file"
    if path.suffix.lower() in DATA_FILES:
        return "is a data or model file"
    if path.name == "pyvenv.cfg" or path.suffix == ".pyc":
        return "belongs to a virtual environment or a cache"
    if path.stat().st_size > max_size * 1e6:
        return f"is larger than {max_size:g} MB"
    if any(fnmatch.fnmatch(path.name.lower(), pattern) for pattern in SECRET_NAMES):
        return "looks like a secret by its name"
    if found := leaks.find(path.read_bytes()):
        return f"holds what looks like {found}"
    return None


def archive_bytes(members: dict[str, bytes]) -> bytes:
    """Return a tar.gz of the files: no times, owners or modes of this machine in it."""
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

    What a compressor puts out differs between zlib and its successors, so the same sources
    would give another checksum on another machine. Source code is small enough to store.
    Source: RFC 1952 (the frame, without name and time) and RFC 1951, 3.2.4 (stored blocks).
    """
    blocks = [content[start : start + 0xFFFF] for start in range(0, len(content) or 1, 0xFFFF)]
    frame = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for number, block in enumerate(blocks, start=1):
        is_last = number == len(blocks)
        frame += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    frame.append(struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))
    return b"".join(frame)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def imported_package() -> Iterator[Path]:
    """Unpack what the archive holds and let `import model` find the library there.

    What the initiator's tools use is so what ships. Yields the unpacked folder. A mistake that
    the model library reports becomes a `ProjectError`.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in collect(CLIENT).items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        sys.path.insert(0, folder)
        from model.errors import PackageError

        try:
            yield Path(folder)
        except PackageError as error:
            raise ProjectError(str(error)) from None
        finally:
            sys.path.remove(folder)
            # The next one unpacks anew, and what is imported then must come from there.
            for name, module in list(sys.modules.items()):
                if (getattr(module, "__file__", None) or "").startswith(folder):
                    del sys.modules[name]
