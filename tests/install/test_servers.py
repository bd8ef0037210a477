"""The server takes from compose.yaml what it needs to reach its stores."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import stand_ins
from composing import secrets_of, services, started
from installing import Install

from fednkit.network.server import free_port

pytestmark = pytest.mark.install


def test_the_server_of_the_compose_file_finds_its_stores(
    installed: Install, tmp_path: Path
) -> None:
    project = installed("fraud", "numpy")
    project.fednkit("write", "compose.yaml")
    project.fednkit("secrets")
    service = services(project.folder)["server"]
    command, _ = started(service, tmp_path, "fedn.yaml")
    assert command[:4] == ["python", "-m", "fednkit.network.server", "-"]
    setup: dict[str, Any] = json.loads(service["environment"]["SETUP"])
    assert (setup["host"], setup["port"], setup["combiner_port"]) == ("server", 8092, 12080)
    # In its container that is every network it is in; the machine's own lets through the loopback.
    assert setup["listen"] == "0.0.0.0"  # noqa: S104
    port = free_port()
    setup |= {"settings": str(tmp_path / "fedn.yaml"), "listen": "127.0.0.1"}
    setup |= {"port": port, "combiner_port": free_port()}
    told = tmp_path / "told.json"
    run: list[str | Path] = [
        project.python,
        "-B",
        str(stand_ins.__file__),
        told,
        "-",
        json.dumps(setup),
    ]
    with subprocess.Popen(run, cwd=tmp_path) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", server)
        finally:
            server.terminate()
    passwords = secrets_of(project.folder)
    assert json.loads(told.read_text("utf-8")) == {
        "mongo": {
            "host": "mongo",
            "port": 27017,
            "username": "fedn",
            "password": passwords["MONGO_PASSWORD"],
        },
        "storage": {
            "aws_access_key_id": "fedn",
            "aws_secret_access_key": passwords["MINIO_PASSWORD"],
            "region_name": "eu-west-1",
            "endpoint_url": "http://minio:9000",
            "use_ssl": False,
            "verify": False,
        },
    }


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            assert requests.get(url, timeout=10).status_code == requests.codes.ok
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} does not answer")
