"""One server of each kind for all of these tests, which belong to one process: see `pytestmark`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import proxy
import pytest
import yaml
from hostile_sites import Network, Site, network

# What compose.yaml hands to FEDn; its stores are stand-ins here, so nothing of it is reached.
FEDN = {
    "network_id": "federation",
    "statestore": {"type": "MongoDB", "mongo_config": {"host": "mongo"}},
    "storage": {
        "storage_type": "BOTO3",
        "storage_config": {"storage_access_key": "fedn", "storage_secret_key": "none"},
    },
}


NEEDS_NGINX = pytest.mark.skipif(proxy.MISSING != "", reason=proxy.MISSING)
KINDS = [
    "memory",
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("store", "compose")),
    pytest.param("tls", marks=[pytest.mark.slow, NEEDS_NGINX]),
]


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Network]:
    """The server of `network`, of `serve --store`, of compose.yaml, or one with tokens and TLS."""
    (folder / "fedn.yaml").write_text(yaml.safe_dump(FEDN))
    setup = {
        "memory": {},
        "store": {"store": str(folder / "store")},
        "tls": {"store": str(folder / "store"), "tokens": True},
        "compose": {"settings": str(folder / "fedn.yaml")},
    }[kind]
    secret = 32 * "s" if kind == "tls" else ""
    with network(folder, json.dumps(setup), secret, tls=kind == "tls") as started:
        yield started


@pytest.fixture(scope="package", params=KINDS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    with serving(request.param, tmp_path_factory.mktemp("hostile")) as started:
        yield started


@pytest.fixture(scope="package")
def sites(running: Network) -> list[Site]:
    return running.join(3)
