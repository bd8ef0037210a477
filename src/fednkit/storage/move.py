"""Copy the store of `serve --store` to MongoDB and an object store: fednkit move DIR SETTINGS."""

from dataclasses import dataclass
from pathlib import Path

from fedn.network.storage.dbconnection import DatabaseConnection
from fedn.network.storage.s3.repository import Repository

from ..project.errors import ProjectError
from ..project.paths import shown
from ._database import Database
from .check import check
from .store import BUCKETS, DATABASE, FILES, connected

__all__ = ["Options", "move", "run"]

# Each server registers its own combiner, with its address.
SKIPPED_COLLECTIONS = {"network.combiners"}
# Entries, with their identifying key, that show that another server has used the database.
USED_COLLECTIONS = {"control.model": "model", "control.sessions": "session_id"}


@dataclass(frozen=True)
class Options:
    """Options of `fednkit move`.

    Attributes:
        store: Folder of `fednkit serve --store`.
        settings: FEDn's settings file with the addresses of MongoDB and the object store.
    """

    store: Path
    settings: Path


def run(options: Options) -> None:
    """Check and copy the store, and print how much was copied."""
    print(check(options.store))
    repository, state = connected(options.settings)
    documents, files = move(options.store, repository, state)
    print(f"copied {documents} documents and {files} files; {shown(options.store)} is unchanged")


def move(folder: Path, repository: Repository, state: DatabaseConnection) -> tuple[int, int]:
    """Copy all documents and files of an undamaged store; return the numbers of both.

    Existing copies are overwritten, so that an interrupted move can be repeated.

    Raises:
        ProjectError: The target holds models or sessions of another server.
    """
    database = Database(folder / DATABASE)
    try:
        for collection, key in USED_COLLECTIONS.items():
            known = [entry[key] for entry in database.documents(collection)]
            others = state.mdb[collection].count_documents({key: {"$exists": True, "$nin": known}})
            if others:
                raise ProjectError(
                    f"expected an unused database, found {others} entries of another server in "
                    f"{collection}"
                )
        buckets = _buckets(repository)
        files = database.files()
        for (bucket, name), sha256 in files.items():
            path = str(folder / FILES / sha256)
            repository.client.set_artifact(name, path, bucket=buckets[bucket], is_file=True)
        count = 0
        for collection in database.collections():
            if collection in SKIPPED_COLLECTIONS:
                continue
            for entry in database.documents(collection):
                state.mdb[collection].replace_one({"_id": entry["_id"]}, entry, upsert=True)
                count += 1
    finally:
        database.close()
    return count, len(files)


def _buckets(repository: Repository) -> dict[str, str]:
    """Return the target's bucket for each bucket of a store."""
    return {
        BUCKETS["storage_bucket"]: repository.model_bucket,
        BUCKETS["context_bucket"]: repository.context_bucket,
        BUCKETS["prediction_bucket"]: repository.prediction_bucket,
    }
