"""What the tests of the site's library share: a compute package and a site's data."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from library import Package, imported, write_package, write_site


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Package]:
    """A compute package, imported in this process; not to be changed."""
    with imported(write_package(tmp_path_factory.mktemp("checkout") / "client")) as package:
        yield package


@pytest.fixture
def site_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a site's data, to which FEDN_DATA_PATH points; its ledger is beside it."""
    folder = tmp_path / "site"
    write_site(folder)
    for name in ("NOISE", "CLIP", "BUDGET", "DELTA", "SAFE_NOISE"):
        monkeypatch.delenv(f"PRIVACY_{name}", raising=False)
    monkeypatch.delenv("METRICS_MINIMUM", raising=False)
    monkeypatch.setenv("FEDN_DATA_PATH", str(folder))
    monkeypatch.setenv("PRIVACY_LEDGER", str(tmp_path / "ledger.json"))
    return folder
