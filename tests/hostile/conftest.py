"""One server for all of these tests, which belongs to one process: see `pytestmark`."""

from collections.abc import Iterator

import pytest
from hostile_sites import Network, Site, network


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("hostile")) as started:
        yield started


@pytest.fixture(scope="package")
def sites(running: Network) -> list[Site]:
    return running.join(3)
