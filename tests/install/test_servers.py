"""FEDn's own commands take from compose.yaml what they need to reach their stores."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from composing import secrets_of, services, started
from installing import CAPTURED, Install, Installed, check

# Runs `fedn ...`; where it would connect, or serve, it writes down with what.
RECORDER = """
import json, sys
from unittest import mock
import boto3, mongomock, pymongo
import fedn.network.api.gunicorn_app as gunicorn
import fedn.network.combiner.combiner as combiner
from fedn.cli import main

seen = {}
def note(name, result=None):
    def call(*arguments, **options):
        seen[name] = [*map(str, arguments), options]
        return result
    return call
def serve(app, *arguments):
    from fedn.network.controller.control import Control
    # What each of its worker processes does.
    Control.instance().db.initialize_connection()
    seen["serve"] = arguments
class Combiner:
    def __init__(self, config, repository, db): seen["combiner"] = config
    def run(self): pass
with mock.patch.object(pymongo, "MongoClient", note("mongo", mongomock.MongoClient())), \\
        mock.patch.object(boto3, "client", note("storage", mock.MagicMock())), \\
        mock.patch.object(gunicorn, "run_gunicorn", serve), \\
        mock.patch.object(combiner, "Combiner", Combiner):
    main(sys.argv[2:], standalone_mode=False)
json.dump(seen, open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def folder(installed: Install) -> Installed:
    """A project that is set up, and whose secrets are made."""
    project = installed("fraud", "numpy")
    project.fednkit("write", "compose.yaml")
    project.fednkit("secrets")
    return project


def seen_by_fedn(project: Installed, name: str, tmp_path: Path) -> dict[str, Any]:
    service = services(project.folder)[name]
    command, _ = started(service, tmp_path, "fedn.yaml")
    environment = {
        key: value.replace("/tmp", str(tmp_path)) for key, value in service["environment"].items()
    }
    seen = tmp_path / "seen.json"
    run: list[str | Path] = [project.python, "-B", "-c", RECORDER, seen, *command[1:]]
    check(subprocess.run(run, env={"PATH": "/usr/bin:/bin", **environment}, **CAPTURED))
    found: dict[str, Any] = json.loads(seen.read_text("utf-8"))
    return found


def stores(project: Installed) -> dict[str, Any]:
    passwords = secrets_of(project.folder)
    return {
        "mongo": [
            {
                "host": "mongo",
                "port": 27017,
                "username": "fedn",
                "password": passwords["MONGO_PASSWORD"],
            }
        ],
        "storage": [
            "s3",
            {
                "aws_access_key_id": "fedn",
                "aws_secret_access_key": passwords["MINIO_PASSWORD"],
                "region_name": "eu-west-1",
                "endpoint_url": "http://minio:9000",
                "use_ssl": False,
                "verify": False,
            },
        ],
    }


def test_the_controller_finds_its_stores_and_serves_without_a_debugger(
    folder: Any, tmp_path: Path
) -> None:
    seen = seen_by_fedn(folder, "controller", tmp_path)
    # In its container that is every network it is in; the machine's own lets through the loopback.
    assert seen.pop("serve")[:2] == ["0.0.0.0", 8092]  # noqa: S104
    assert seen == stores(folder)


def test_the_combiner_finds_its_stores_and_goes_by_its_service_name(
    folder: Any, tmp_path: Path
) -> None:
    seen = seen_by_fedn(folder, "combiner", tmp_path)
    combiner = seen.pop("combiner")
    told = {name: combiner[name] for name in ("name", "host", "port", "fqdn", "secure")}
    assert told == {
        "name": "combiner",
        "host": "combiner",
        "port": 12080,
        "fqdn": None,
        "secure": False,
    }
    assert seen == stores(folder)
