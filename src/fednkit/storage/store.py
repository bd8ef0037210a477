"""Open FEDn's two stores in one folder, or temporarily without one.

DIR/store.sqlite3    sessions, rounds, models, validations, sites, and the names of the files
DIR/files/           models and packages, each under the SHA-256 of its content
"""

from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

import yaml
from fedn.network.storage.dbconnection import DatabaseConnection
from fedn.network.storage.s3.repository import Repository

from ..project.errors import ProjectError, one_line
from ..project.paths import shown
from ._database import IN_MEMORY, Database
from ._files import Files

__all__ = ["BUCKETS", "COMBINER", "DATABASE", "FILES", "connect", "connected", "open_store"]

# The name of the only combiner.
COMBINER = "combiner"

# Limit for the quoted error of a store's library.
MAX_CAUSE_CHARACTERS = 300
DATABASE, FILES = "store.sqlite3", "files"
BUCKETS = {
    "storage_bucket": "models",
    "context_bucket": "packages",
    "prediction_bucket": "predictions",
}


class _Repository(Repository):
    """FEDn's repository with the object store given in its configuration."""

    def _load_repository(self, storage_type: str, config: dict[str, Any]) -> Files:
        files: Files = config["files"]
        return files


def open_store(
    folder: Path | None, packages: Path, temporary: Path, network: str
) -> tuple[Repository, DatabaseConnection]:
    """Return FEDn's object store and its state store.

    Args:
        folder: The folder of the stores, created if missing; None keeps nothing.
        packages: An empty folder from which FEDn serves packages.
        temporary: A new folder for the files, used if `folder` is None.
        network: FEDn's name of the network.

    Raises:
        ProjectError: The folder is in use or is not a store.
    """
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Imports mongomock, which a server with MongoDB does not need.
    from ._documents import Documents

    database = Database(IN_MEMORY if folder is None else folder / DATABASE)
    if folder is None:
        files = Files(temporary, database, durable=False)
    else:
        files = Files(folder / FILES, database)
    repository = _Repository({**BUCKETS, "files": files})
    with mock.patch("pymongo.MongoClient", lambda **_: Documents(database)):
        state = DatabaseConnection({"type": "MongoDB", "mongo_config": {}}, network)
    _prepare(repository, state, packages)
    return repository, state


def connect(settings: Path, packages: Path) -> tuple[Repository, DatabaseConnection]:
    """Return the two stores named in FEDn's settings file, ready for a server.

    Args:
        settings: FEDn's settings file.
        packages: See `open_store`.
    """
    repository, state = connected(settings)
    _prepare(repository, state, packages)
    return repository, state


def connected(settings: Path) -> tuple[Repository, DatabaseConnection]:
    """Return the two stores named in FEDn's settings file, without changing them.

    Raises:
        ProjectError: The file is invalid, or a store does not respond.
    """
    try:
        named = yaml.safe_load(settings.read_text("utf-8"))
        network, state, storage = (named[key] for key in ("network_id", "statestore", "storage"))
        config, kind = storage["storage_config"], storage["storage_type"]
    except OSError as error:
        raise ProjectError(f"{shown(settings)}: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"{shown(settings)}: expected FEDn's settings, with network_id, statestore and storage "
            f"(storage_type, storage_config), found no {error}"
        ) from None
    try:
        return Repository(config, storage_type=kind), DatabaseConnection(state, network)
    except Exception as error:
        # An error of FEDn, boto3 or pymongo.
        cause = one_line(str(error))[:MAX_CAUSE_CHARACTERS]
        raise ProjectError(f"{shown(settings)}: a store does not answer: {cause}") from None


def _prepare(repository: Repository, state: DatabaseConnection, packages: Path) -> None:
    for name in repository.client.list_artifacts(repository.context_bucket):
        content = repository.get_compute_package(name)
        (packages / PurePosixPath(name).name).write_bytes(content)
    # The combiner of this process registers itself with its current port.
    if before := state.combiner_store.get_by_name(COMBINER):
        state.combiner_store.delete(before.combiner_id)
