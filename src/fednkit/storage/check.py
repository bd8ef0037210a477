"""Check a store that no server uses: fednkit serve --check DIR."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..project.errors import ProjectError
from ..project.paths import shown
from ._database import Database, is_damaged
from ._files import sha256_of
from .store import BUCKETS, DATABASE, FILES

__all__ = ["check", "usable"]


def usable(folder: Path) -> Path:
    """Return the absolute path of a folder for a store, existing or new.

    Raises:
        ProjectError: The folder holds other files, or a server uses it.
    """
    path = folder.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()) and not (path / DATABASE).is_file():
            raise ProjectError(
                f"--store: expected a new folder, or a store with {DATABASE}, "
                f"found other files in {shown(path)}"
            )
        Database(path / DATABASE).close()
    except OSError as error:
        raise ProjectError(f"--store: {shown(path)}: {error.strerror}") from None
    return path


def check(folder: Path) -> str:
    """Return a summary of a store in one line.

    Raises:
        ProjectError: The database is damaged, a file is missing or changed, or a model has no file
            or does not load.
    """
    if not (path := folder / DATABASE).is_file():
        raise ProjectError(f"{shown(folder)}: expected a store with {DATABASE}, found none")
    # Opening it applies the write-ahead log that the last server left.
    database = Database(path)
    try:
        names = database.files()
        for (bucket, name), sha256 in names.items():
            _check_file(folder / FILES / sha256, sha256, f"{bucket}/{name}")
        models = [model["model"] for model in _documents(database, path, "control.model")]
        for model in models:
            key = BUCKETS["storage_bucket"], model
            if key not in names:
                raise ProjectError(f"{shown(path)}: model {model} has no file")
            _load(folder / FILES / names[key], model)
        sessions = len(list(_documents(database, path, "control.sessions")))
        rounds = len(list(_documents(database, path, "control.rounds")))
    finally:
        database.close()
    if words := is_damaged(path):
        raise ProjectError(f"{shown(path)}: damaged: {words}")
    return (
        f"{shown(folder)}: whole; {len(models)} models, {sessions} sessions, {rounds} rounds, "
        f"{len(names)} files"
    )


def _documents(database: Database, path: Path, collection: str) -> list[dict[str, Any]]:
    try:
        return list(database.documents(collection))
    except Exception as error:
        raise ProjectError(f"{shown(path)}: {collection} cannot be read: {error}") from None


def _check_file(path: Path, sha256: str, name: str) -> None:
    if not path.is_file():
        raise ProjectError(f"{shown(path)}: the file of {name} is missing")
    if (found := sha256_of(path)) != sha256:
        raise ProjectError(f"{shown(path)}: {name} was changed: its SHA-256 is {found}")


def _load(path: Path, model: str) -> None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                arrays[name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ProjectError(f"{shown(path)}: model {model} does not load: {error}") from None
