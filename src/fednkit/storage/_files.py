"""FEDn's files, models and packages, each under the SHA-256 of its content.

A file is written beside its place, synced, and renamed; then its name is entered into the store's
database. A crash leaves the old or the new, and perhaps a content without a name, which the next
start removes.
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
    """What FEDn takes for an object store. The arguments of its public methods are FEDn's.

    Args:
        folder: Of the contents; it is made, for this user alone, if it is not there.
        database: Of their names.
        durable: Whether a content is on disk, and not on its way there, before it has its name.
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
        """Keep a content, the bytes or the path of a file, under a name."""
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
        """Return the content of a name. Raises `FileNotFoundError` if there is none."""
        with self._lock:
            if (sha256 := self._names.get((bucket, instance_name))) is None:
                raise FileNotFoundError(f"no file '{instance_name}' in {bucket}")
            return (self._folder / sha256).read_bytes()

    def get_artifact_stream(self, instance_name: str, bucket: str) -> IO[bytes]:
        """Return the content of a name as what FEDn takes for one. Raises as `get_artifact`."""
        return io.BytesIO(self.get_artifact(instance_name, bucket))

    def list_artifacts(self, bucket: str) -> list[str]:
        """Return the names in a bucket."""
        with self._lock:
            return [name for place, name in self._names if place == bucket]

    def delete_artifact(self, instance_name: str, bucket: str) -> None:
        """Forget a name, and its content if no other has it. There need be none."""
        with self._lock:
            sha256 = self._names.get((bucket, instance_name))
            if sha256 is not None:
                self._database.unname_file(bucket, instance_name)
                del self._names[bucket, instance_name]
                self._drop(sha256)

    def _drop(self, sha256: str | None) -> None:
        """Remove a content that has no name any more."""
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
    """Have the names of a folder on disk, as far as the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
