"""FEDn's two stores, in one folder or, without one, for as long as the server runs.

DIR/store.sqlite3    sessions, rounds, models, validations, sites, and the names of the files
DIR/files/           models and packages, each under the SHA-256 of its content
"""

from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

from fedn.network.storage.dbconnection import DatabaseConnection
from fedn.network.storage.s3.repository import Repository

from ._database import IN_MEMORY, Database
from ._documents import Documents
from ._files import Files

__all__ = ["BUCKETS", "DATABASE", "FILES", "open_store"]

DATABASE, FILES = "store.sqlite3", "files"
BUCKETS = {
    "storage_bucket": "models",
    "context_bucket": "packages",
    "prediction_bucket": "predictions",
}


class _Repository(Repository):
    """FEDn's repository, on files that are handed to it."""

    def _load_repository(self, storage_type: str, config: dict[str, Any]) -> Files:
        files: Files = config["files"]
        return files


def open_store(
    folder: Path | None, packages: Path, temporary: Path, network: str
) -> tuple[Repository, DatabaseConnection]:
    """Return FEDn's object store and its state store.

    folder: What they keep is in it; None: it is forgotten. It is made if it is not there.
    packages: Where FEDn looks for the packages that it hands out, an empty folder of the server's.
    temporary: For files that are forgotten; it is not there yet.
    network: FEDn's name of the network.

    Raises `ProjectError` if the folder is in use, or is no store's.
    """
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(IN_MEMORY if folder is None else folder / DATABASE)
    files = Files(temporary if folder is None else folder / FILES, database)
    repository = _Repository({**BUCKETS, "files": files})
    for name in files.list_artifacts(repository.context_bucket):
        content = files.get_artifact(name, repository.context_bucket)
        (packages / PurePosixPath(name).name).write_bytes(content)
    with mock.patch("pymongo.MongoClient", lambda **_: Documents(database)):
        state = DatabaseConnection({"type": "MongoDB", "mongo_config": {}}, network)
    # The one of this process enters itself, with the port that it has now.
    for combiner in state.combiner_store.list(0, 0, None):
        state.combiner_store.delete(combiner.combiner_id)
    return repository, state
