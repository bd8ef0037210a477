"""FEDn's successor, Scaleout Edge: its own client runs the archive that FEDn's runs."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from baking import ROOT
from installing import CAPTURED, VENVS, Install, Installed, check, install, locked

pytestmark = pytest.mark.install

# The newest for each Python: 1.1 needs NumPy 2.5, which starts at Python 3.12.
RELEASES = {"3.11": "1.0.7", "3.12": "1.1.0"}


def interpreter(version: str) -> str | None:
    """Return a Python of that version: this one, one on the PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    others = [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for python in (sys.executable, f"python{version}", *others):
        code = "import sys; print('{}.{}'.format(*sys.version_info))"
        try:
            found = subprocess.run([python, "-c", code], **CAPTURED).stdout.strip()
        except OSError:
            continue
        if found == version:
            return python
    return None


@pytest.fixture(scope="module", params=RELEASES)
def scaleout(request: pytest.FixtureRequest) -> Path:
    """Return the folder of scaleout's commands, in an environment of its own."""
    release = RELEASES[request.param]
    venv = VENVS / f"scaleout-{release}"
    python = interpreter(request.param)
    if not python:
        pytest.skip(f"scaleout {release} is tried on Python {request.param}; there is none")
    with locked(venv.name):
        if not (venv / ".ready").exists():
            check(subprocess.run([python, "-m", "venv", "--clear", venv], **CAPTURED))
            install(venv, f"scaleout=={release}")
            (venv / ".ready").touch()
    return venv / "bin"


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("fraud", "numpy")
    project.make("package", "seed", "sites")
    return project


class Site:
    """A site whose client is scaleout's; the entry points run on what the project pins."""

    def __init__(self, scaleout: Path, project: Installed, folder: Path) -> None:
        self.scaleout = scaleout
        self.project = project
        # The blank is there on purpose. Model files lie in TMPDIR, where scaleout takes none.
        self.folder = folder / "site 1"
        self.folder.mkdir()
        self.environment = {
            **os.environ,
            "PATH": f"{project.venv / 'bin'}:{os.environ['PATH']}",
            "FEDN_DATA_PATH": str(project.folder / "data" / "site-1"),
            "TMPDIR": str(folder),
            "SCALEOUT_LOG_LEVEL": "INFO",
        }

    def run(self, settings: str = "{}", checksum: str | None = None) -> tuple[dict[str, Any], str]:
        """Return what came of it, and what the client and the entry points logged."""
        archive = self.project.folder / "fraud-detection.tar.gz"
        checksum = checksum or hashlib.sha256(archive.read_bytes()).hexdigest()
        script = ROOT / "tests" / "install" / "scaleout_site.py"
        command = [self.scaleout / "python", script, archive, self.project.folder / "seed.npz"]
        result = subprocess.run(
            [*command, settings, checksum], cwd=self.folder, env=self.environment, **CAPTURED
        )
        *log, printed = check(result).splitlines()
        return json.loads(printed), "\n".join([*log, result.stderr])


@pytest.fixture
def site(scaleout: Path, project: Installed, tmp_path: Path) -> Site:
    return Site(scaleout, project, tmp_path)


def test_it_comes_to_all_that_the_entry_points_come_to_without_it(
    site: Site, project: Installed, tmp_path: Path
) -> None:
    settings = '{"epochs": 1, "learning_rate": 0.01}'
    result, log = site.run(settings)
    assert "status" not in result["training"], log

    by_hand = tmp_path / "by-hand"
    by_hand.mkdir()
    seed = (project.folder / "seed.npz").read_bytes()
    (by_hand / "seed.npz").write_bytes(seed)
    (by_hand / "seed.npz-metadata").write_text(settings)
    project.shell(
        f"cd client && export FEDN_DATA_PATH=../data/site-1 PATH='{project.venv}/bin':$PATH\n"
        f"python train.py '{by_hand}/seed.npz' '{by_hand}/out'\n"
        f"python validate.py '{by_hand}/out' '{by_hand}/validation.json'\n"
        f"python predict.py '{by_hand}/out' '{by_hand}/predictions.json'"
    )
    update = (site.folder / "update.npz").read_bytes()
    assert update == (by_hand / "out").read_bytes()
    assert update != seed
    expected = {
        name: json.loads((by_hand / name).read_text("utf-8"))
        for name in ("out-metadata", "validation.json", "predictions.json")
    }
    assert result["training"]["training_metadata"] == expected["out-metadata"]
    assert result["metrics"] == expected["validation.json"]
    assert result["predictions"] == expected["predictions.json"]


@pytest.mark.parametrize(
    ("settings", "data", "expected"),
    [
        ('{"layers": 3}', "data/site-1", "error: setting 'layers' is unknown"),
        ("{}", "data/site-9", "site-9: expected a data file"),
    ],
)
def test_a_failed_training_is_seen_as_one(
    site: Site, project: Installed, settings: str, data: str, expected: str
) -> None:
    site.environment["FEDN_DATA_PATH"] = str(project.folder / data)
    result, log = site.run(settings)
    assert result["started"]
    assert result["training"]["status"] == "failed"
    assert result["training"]["error"].startswith("Non-zero exit code: 1\n")
    assert (result["metrics"] is None) == (data == "data/site-9")
    assert expected in log
    assert not (site.folder / "update.npz").exists()


def test_an_archive_with_another_checksum_is_not_even_unpacked(site: Site) -> None:
    result, log = site.run(checksum="0" * 64)
    assert result == {"started": False}
    assert "Could not validate compute package" in log
    assert list((site.folder / "package").iterdir()) == []


def test_scaleout_packs_all_members_of_an_unpacked_archive(site: Site, project: Installed) -> None:
    folder = project.unpack(site.folder / "unpacked")
    command: list[str | Path] = [site.scaleout / "scaleout", "package", "create", "--path", folder]
    check(subprocess.run([*command, "--name", "its.tgz"], cwd=site.folder, **CAPTURED))
    with (
        tarfile.open(project.folder / "fraud-detection.tar.gz") as ours,
        tarfile.open(site.folder / "its.tgz") as theirs,
    ):
        assert ours.getnames() == sorted(theirs.getnames())
