"""A SQLite file with FEDn's documents and the names of its files.

A commit that has returned survives a kill and a power cut, because the write-ahead log is synced.
Messages of sites are frequent and committed in batches: with the next other change, or after one
second. So the messages that led to a round's end are on disk whenever its end is.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson

from ..project.errors import ProjectError
from ..project.paths import shown

__all__ = ["APPLICATION_ID", "IN_MEMORY", "Database", "is_damaged"]

log = logging.getLogger("fedn")

IN_MEMORY = ":memory:"
# In the file's header, to reject other SQLite files.
APPLICATION_ID = 0x66656464
VERSION = 1
COMMIT_SECONDS = 1.0

_TABLES = """
CREATE TABLE documents (
    position INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    id BLOB NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (collection, id)
);
CREATE TABLE files (
    bucket TEXT NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (bucket, name)
);
"""


class Database:
    """A store's SQLite file, opened exclusively by this process. Thread-safe.

    Args:
        path: Path of the file, which is created if missing; `IN_MEMORY` for no file.

    Raises:
        ProjectError: Another process has the file open, it does not belong to a store, or its
            version differs.
    """

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.RLock()
        self._uncommitted = False
        try:
            self._connection = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("BEGIN EXCLUSIVE")
            self._prepare(path)
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise ProjectError(f"{shown(Path(path))}: another server uses it") from None
            raise ProjectError(f"{shown(Path(path))}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise ProjectError(f"{shown(Path(path))}: expected a store: {error}") from None
        threading.Thread(target=self._commit_periodically, daemon=True).start()

    def collections(self) -> list[str]:
        """Return the names of the collections that have documents."""
        with self._lock:
            rows = self._connection.execute("SELECT DISTINCT collection FROM documents").fetchall()
        return [name for (name,) in rows]

    def documents(self, collection: str) -> Iterator[dict[str, Any]]:
        """Yield the documents of a collection in insertion order."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT content FROM documents WHERE collection = ? ORDER BY position",
                [collection],
            ).fetchall()
        for (content,) in rows:
            yield bson.decode(content)

    def put(self, collection: str, document: dict[str, Any], *, now: bool = True) -> None:
        """Insert a document, or replace the one with its `_id`.

        Args:
            collection: The collection's name.
            document: The document.
            now: Whether to commit this and all earlier changes before returning.
        """
        self._change(
            "INSERT INTO documents (collection, id, content) VALUES (?, ?, ?) "
            "ON CONFLICT (collection, id) DO UPDATE SET content = excluded.content",
            [collection, _key(document["_id"]), bson.encode(document)],
            now,
        )

    def remove(self, collection: str, key: Any, *, now: bool = True) -> None:
        """Delete the document with this `_id`; for `now`, see `put`."""
        self._change(
            "DELETE FROM documents WHERE collection = ? AND id = ?", [collection, _key(key)], now
        )

    def files(self) -> dict[tuple[str, str], str]:
        """Return the SHA-256 of every file by bucket and name."""
        with self._lock:
            rows = self._connection.execute("SELECT bucket, name, sha256 FROM files").fetchall()
        return {(bucket, name): sha256 for bucket, name, sha256 in rows}

    def name_file(self, bucket: str, name: str, sha256: str) -> None:
        """Assign a name to a file; the name's previous file loses it."""
        self._change("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", [bucket, name, sha256], True)

    def unname_file(self, bucket: str, name: str) -> None:
        """Delete the name of a file."""
        self._change("DELETE FROM files WHERE bucket = ? AND name = ?", [bucket, name], True)

    def close(self) -> None:
        """Commit pending changes and close the file."""
        with self._lock:
            self._commit()
            self._connection.close()

    def _prepare(self, path: Path | str) -> None:
        """Create the tables of a new file; raise `ProjectError` if the file is not a store."""
        (made_for,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables and not made_for:
            for statement in _TABLES.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
        elif made_for != APPLICATION_ID:
            raise ProjectError(f"{shown(Path(path))}: expected a store, found another SQLite file")
        elif version != VERSION:
            raise ProjectError(
                f"{shown(Path(path))}: expected version {VERSION} of the store, found {version}; "
                "use the version of fednkit that wrote it"
            )

    def _change(self, statement: str, values: list[Any], now: bool) -> None:
        with self._lock:
            try:
                if not self._uncommitted:
                    self._connection.execute("BEGIN")
                    self._uncommitted = True
                self._connection.execute(statement, values)
                if now:
                    self._commit()
            except sqlite3.OperationalError:
                # For example, a full disk. A change reported as failed must not be committed later.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._uncommitted = False
                raise

    def _commit(self) -> None:
        if self._uncommitted:
            self._connection.execute("COMMIT")
            self._uncommitted = False

    def _commit_periodically(self) -> None:
        pause = threading.Event()
        while not pause.wait(COMMIT_SECONDS):
            try:
                with self._lock:
                    self._commit()
            except sqlite3.OperationalError:
                log.exception("the store cannot be written")
            except sqlite3.ProgrammingError:
                # The connection was closed.
                return


def is_damaged(path: Path) -> str:
    """Return the first error that SQLite finds in a file that no process has open; "" if none."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()
    return "" if found == "ok" else str(found)


def _key(identity: Any) -> bytes:
    return bson.encode({"_id": identity})
