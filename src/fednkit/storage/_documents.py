"""FEDn's documents: in memory, where they are searched as MongoDB would, and in the store's file.

FEDn's own stores for SQLite cannot be used in 0.33: among others they hand texts to columns of the
type DateTime, which refuse them. Those for MongoDB are what its servers run on; here they talk to
mongomock. Every change is on disk before it can be read, so nothing that was told is lost.
"""

import threading
from collections import defaultdict, deque
from typing import Any

import bson
import mongomock
from bson import ObjectId

from ._database import Database

__all__ = ["MAX_MESSAGE_BYTES", "Documents"]

# What sites send besides models and metrics. It is committed together, and of each site only the
# newest is kept, so that no site fills the disk.
MESSAGES = {"control.attributes", "control.metrics", "control.status", "control.telemetry"}
MAX_MESSAGE_BYTES = 1 << 24
# Changes with every heartbeat; a site that is not known here joins again.
COMMITTED_TOGETHER = {*MESSAGES, "network.clients"}
READS = {"aggregate", "count_documents", "create_index", "distinct", "find", "find_one"}


class Documents:
    """What FEDn takes for a client of MongoDB, and for its one database.

    Args:
        file: Where the documents are kept.
    """

    def __init__(self, file: Database) -> None:
        self._file = file
        self._memory: Any = mongomock.MongoClient()["documents"]
        self._collections: dict[str, _Collection] = {}
        self._lock = threading.Lock()

    def server_info(self) -> dict[str, Any]:
        """Answer FEDn, which asks whether there is a server."""
        return {}

    def __getitem__(self, name: str) -> "Documents | _Collection":
        # FEDn asks for a database by its network's id, and that for collections, with dots.
        if "." not in name:
            return self
        with self._lock:
            if name not in self._collections:
                self._collections[name] = _Collection(name, self._file, self._memory[name])
            return self._collections[name]


class _Collection:
    """A collection, with as many of MongoDB's methods as FEDn calls: others are not there."""

    def __init__(self, name: str, file: Database, memory: Any) -> None:
        self._name, self._file, self._memory = name, file, memory
        self._now = name not in COMMITTED_TOGETHER
        self._lock = threading.RLock()
        # Of each site: its messages with their sizes, the oldest first, and the sum.
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
        """Keep a new document, which is given an `_id`."""
        with self._lock:
            document.setdefault("_id", ObjectId())
            self._file.put(self._name, document, now=self._now)
            self._memory.insert_one(document)
            self._bound(document)

    def update_one(
        self, criteria: dict[str, Any], update: dict[str, Any], upsert: bool = False
    ) -> Any:
        """Change the first document that meets the criteria; return MongoDB's account of it."""
        with self._lock:
            # mongomock changes what is there in place; so a copy is changed, and kept, first.
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
        """Remove the first document that meets the criteria; return MongoDB's account of it."""
        with self._lock:
            found = self._memory.find_one(criteria)
            return self._delete([] if found is None else [found["_id"]])

    def delete_many(self, criteria: dict[str, Any]) -> Any:
        """Remove all documents that meet the criteria; return MongoDB's account of it."""
        with self._lock:
            return self._delete([found["_id"] for found in self._memory.find(criteria)])

    def _delete(self, keys: list[Any]) -> Any:
        for key in keys:
            self._file.remove(self._name, key, now=self._now)
        return self._memory.delete_many({"_id": {"$in": keys}})

    def _bound(self, document: dict[str, Any]) -> None:
        """Remove a site's oldest messages as soon as there are too many."""
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
