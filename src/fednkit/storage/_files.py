"""Store FEDn's files (models and packages), each named by the SHA-256 of its content.

A file is written to a temporary folder, synced and renamed; then its name is added to the store's
database. After a crash, the old or the new file is there, and perhaps one without a name, which the
next start deletes.
"""

import hashlib
import io
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from fedn.network.storage.s3.base import RepositoryBase

from ._database import Database

__all__ = ["Files"]

BLOCK_BYTES = 1 << 20


class Files(RepositoryBase):
    """Replaces FEDn's object store; FEDn defines the arguments of the public methods.

    Args:
        folder: Folder of the files; created, readable only by this user, if missing.
        database: Stores the files' names.
        durable: Whether to sync a file to disk before it gets its name.
    """

    name = "files"

    def __init__(self, folder: Path, database: Database, *, durable: bool = True) -> None:
        self._folder, self._database, self._durable = folder, database, durable
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._names = database.files()
        known = set(self._names.values())
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in known:
                path.unlink()

    def create_bucket(self, bucket_name: str) -> None:
        """Do nothing: a bucket is part of a name."""

    def set_artifact(
        self, instance_name: str, instance: Any, bucket: str, is_file: bool = False
    ) -> None:
        """Store bytes, or a copy of the file at a path, under a name."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            part = Path(folder, "part")
            with part.open("wb") as target:
                if is_file:
                    with Path(instance).open("rb") as source:
                        shutil.copyfileobj(source, target, BLOCK_BYTES)
                else:
                    target.write(instance)
                target.flush()
                if self._durable:
                    os.fsync(target.fileno())
            sha256 = sha256_of(part)
            with self._lock:
                part.replace(self._folder / sha256)
                if self._durable:
                    _sync_folder(self._folder)
                before = self._names.get((bucket, instance_name))
                self._database.name_file(bucket, instance_name, sha256)
                self._names[bucket, instance_name] = sha256
                self._drop(before)

    def get_artifact(self, instance_name: str, bucket: str) -> bytes:
        """Return the bytes of the file with a name. Raises `FileNotFoundError`."""
        with self._lock:
            if (sha256 := self._names.get((bucket, instance_name))) is None:
                raise FileNotFoundError(f"no file '{instance_name}' in {bucket}")
            return (self._folder / sha256).read_bytes()

    def get_artifact_stream(self, instance_name: str, bucket: str) -> IO[bytes]:
        """Return the file with a name as a stream. Raises `FileNotFoundError`."""
        return io.BytesIO(self.get_artifact(instance_name, bucket))

    def list_artifacts(self, bucket: str) -> list[str]:
        """Return the names in a bucket."""
        with self._lock:
            return [name for place, name in self._names if place == bucket]

    def delete_artifact(self, instance_name: str, bucket: str) -> None:
        """Delete a name, if it exists, and its file if no other name refers to it."""
        with self._lock:
            sha256 = self._names.get((bucket, instance_name))
            if sha256 is not None:
                self._database.unname_file(bucket, instance_name)
                del self._names[bucket, instance_name]
                self._drop(sha256)

    def _drop(self, sha256: str | None) -> None:
        """Delete a file that no name refers to."""
        if sha256 is not None and sha256 not in self._names.values():
            (self._folder / sha256).unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk, where the system supports it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
