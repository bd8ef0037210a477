"""What the tests share: data of a few sites, and the compute package as a site gets it."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from federation import package, partition, samples
from federation.project import CLIENT, DATA


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four sites with data: yours where data/ holds your own, else sample data."""
    record = DATA / "sites.json"
    sampled = record.exists() and not json.loads(record.read_text("utf-8"))["source"]
    own = sorted(DATA.glob("site-*"))
    if own and not sampled:
        return own
    everything = samples.make(examples=min(samples.EXAMPLES, 8_000), seed=1)
    parts = partition.iid(samples.labels(everything), 4, np.random.default_rng(1))
    folder = tmp_path_factory.mktemp("data")
    for number, rows in enumerate(parts, start=1):
        site = folder / f"site-{number}"
        site.mkdir()
        samples.write(everything, rows, site / samples.FILE_NAME)
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compute package, built from client/."""
    file = tmp_path_factory.mktemp("archive") / "package.tgz"
    file.write_bytes(package.archive_bytes(package.collect(CLIENT)))
    return file


@pytest.fixture
def unpacked(archive: Path, tmp_path: Path) -> Path:
    """The compute package unpacked into a folder whose path has a blank."""
    folder = tmp_path / "compute package"
    with tarfile.open(archive) as members:
        members.extractall(folder, filter="data")
    return folder
