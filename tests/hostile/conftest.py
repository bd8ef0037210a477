"""One server of each kind for all of these tests, which belong to one process: see `pytestmark`."""

import json
from collections.abc import Iterator

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


@pytest.fixture(
    scope="package",
    params=[
        "memory",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("store", "compose")),
    ],
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """The server as `network` starts it, as `serve --store` does, and as compose.yaml does."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "fedn.yaml").write_text(yaml.safe_dump(FEDN))
    setup = {
        "memory": {},
        "store": {"store": str(folder / "store")},
        "compose": {"settings": str(folder / "fedn.yaml")},
    }[request.param]
    with network(folder, json.dumps(setup)) as started:
        yield started


@pytest.fixture(scope="package")
def sites(running: Network) -> list[Site]:
    return running.join(3)
