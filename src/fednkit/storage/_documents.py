"""Keep FEDn's documents in memory, searchable as in MongoDB, and in the store's file.

FEDn 0.33's stores for SQLite are unusable: for example, they pass strings to DateTime columns,
which reject them. So its stores for MongoDB are used, with mongomock in the place of a server.
Every change is written to the store's file before it can be read.
"""

import threading
from collections import defaultdict, deque
from typing import Any

import bson
import mongomock
from bson import ObjectId

from ._database import Database

__all__ = ["MAX_MESSAGE_BYTES", "Documents"]

# Messages of sites other than models and validations. They are committed in batches, and only each
# site's newest are kept, so that no site can fill the disk.
MESSAGES = {"control.attributes", "control.metrics", "control.status", "control.telemetry"}
MAX_MESSAGE_BYTES = 1 << 24
# Clients change with every heartbeat; a client that is lost here joins again.
COMMITTED_TOGETHER = {*MESSAGES, "network.clients"}
READS = {"aggregate", "count_documents", "create_index", "distinct", "find", "find_one"}


class Documents:
    """Replaces FEDn's MongoDB client, and its single database.

    Args:
        file: Stores the documents.
    """

    def __init__(self, file: Database) -> None:
        self._file = file
        self._memory: Any = mongomock.MongoClient()["documents"]
        self._collections: dict[str, _Collection] = {}
        self._lock = threading.Lock()

    def server_info(self) -> dict[str, Any]:
        """Return an empty dictionary; FEDn calls this to check that there is a server."""
        return {}

    def __getitem__(self, name: str) -> "Documents | _Collection":
        # FEDn looks up the database by the network's id, and in it collections, with a dot.
        if "." not in name:
            return self
        with self._lock:
            if name not in self._collections:
                self._collections[name] = _Collection(name, self._file, self._memory[name])
            return self._collections[name]


class _Collection:
    """A collection with those methods of MongoDB's that FEDn calls."""

    def __init__(self, name: str, file: Database, memory: Any) -> None:
        self._name, self._file, self._memory = name, file, memory
        self._now = name not in COMMITTED_TOGETHER
        self._lock = threading.RLock()
        # For each site: the ids and sizes of its messages, oldest first, and the total size.
        self._messages: dict[str, deque[tuple[ObjectId, int]]] = defaultdict(deque)
        self._bytes: dict[str, int] = defaultdict(int)
        for document in file.documents(name):
            memory.insert_one(document)
            self._bound(document)

    def __getattr__(self, method: str) -> Any:
        if method not in READS:
            raise AttributeError(f"{method} is not kept on disk; FEDn 0.33 does not call it")
        return getattr(self._memory, method)

    def insert_one(self, document: dict[str, Any]) -> None:
        """Insert a document, adding an `_id` if it has none."""
        with self._lock:
            document.setdefault("_id", ObjectId())
            self._file.put(self._name, document, now=self._now)
            self._memory.insert_one(document)
            self._bound(document)

    def update_one(
        self, criteria: dict[str, Any], update: dict[str, Any], upsert: bool = False
    ) -> Any:
        """Update the first document that matches; return MongoDB's result object."""
        with self._lock:
            # mongomock updates documents in place, so update and store a copy first.
            copy: Any = mongomock.MongoClient()["copy"]["copy"]
            before = self._memory.find_one(criteria)
            if before is not None:
                copy.insert_one(before)
            result = copy.update_one(criteria, update, upsert=upsert)
            after = copy.find_one()
            if after is not None and after != before:
                self._file.put(self._name, after, now=self._now)
                self._memory.replace_one({"_id": after["_id"]}, after, upsert=True)
            return result

    def delete_one(self, criteria: dict[str, Any]) -> Any:
        """Delete the first document that matches; return MongoDB's result object."""
        with self._lock:
            found = self._memory.find_one(criteria)
            return self._delete([] if found is None else [found["_id"]])

    def delete_many(self, criteria: dict[str, Any]) -> Any:
        """Delete all documents that match; return MongoDB's result object."""
        with self._lock:
            return self._delete([found["_id"] for found in self._memory.find(criteria)])

    def _delete(self, keys: list[Any]) -> Any:
        for key in keys:
            self._file.remove(self._name, key, now=self._now)
        return self._memory.delete_many({"_id": {"$in": keys}})

    def _bound(self, document: dict[str, Any]) -> None:
        """Delete a site's oldest messages while they exceed `MAX_MESSAGE_BYTES` in total."""
        if self._name not in MESSAGES:
            return
        sender = document.get("sender") or {}
        site = str(sender.get("client_id") or sender.get("name"))
        size = len(bson.encode(document))
        self._messages[site].append((document["_id"], size))
        self._bytes[site] += size
        while self._bytes[site] > MAX_MESSAGE_BYTES:
            oldest, freed = self._messages[site].popleft()
            self._bytes[site] -= freed
            self._delete([oldest])
