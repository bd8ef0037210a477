"""The server of compose.yaml with stand-ins for MongoDB and MinIO, in memory.

    python stand_ins.py RECORD READY_FILE|- SETUP

What FEDn connects with is written to the file RECORD, in JSON.
"""

import io
import json
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
import mongomock
import pymongo

from fednkit.network.server import Setup, serve


class ObjectStore:
    """As much of boto3's client as FEDn calls."""

    exceptions = SimpleNamespace(BucketAlreadyExists=KeyError, BucketAlreadyOwnedByYou=KeyError)

    def __init__(self) -> None:
        self._buckets: dict[str, dict[str, bytes]] = defaultdict(dict)

    def create_bucket(self, **_: Any) -> None:
        """Do nothing: a bucket is there as soon as something is in it."""

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self._buckets[Bucket][Key] = Body

    def upload_file(self, Filename: str, Bucket: str, Key: str) -> None:  # noqa: N803
        self._buckets[Bucket][Key] = Path(Filename).read_bytes()

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self._buckets[Bucket][Key])}

    def list_objects_v2(self, Bucket: str) -> dict[str, Any]:  # noqa: N803
        return {"Contents": [{"Key": name} for name in self._buckets[Bucket]]}

    def delete_object(self, Bucket: str, Key: str) -> None:  # noqa: N803
        self._buckets[Bucket].pop(Key, None)


def main(record: Path, ready: str, setup: str) -> None:
    """Serve until the end; write down what FEDn connected with as soon as it has."""
    told: dict[str, Any] = {}

    def note(kind: str, stand_in: Any) -> Any:
        def connect(*_: Any, **options: Any) -> Any:
            told[kind] = options
            record.write_text(json.dumps(told), "utf-8")
            return stand_in()

        return connect

    mongo, storage = note("mongo", mongomock.MongoClient), note("storage", ObjectStore)

    with (
        mock.patch.object(pymongo, "MongoClient", mongo),
        mock.patch.object(boto3, "client", storage),
    ):
        serve(None if ready == "-" else Path(ready), Setup(**json.loads(setup)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
