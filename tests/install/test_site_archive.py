"""The archive at a site: it runs with requirements.txt alone, and with the library in it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from installing import (
    CAPTURED,
    VENVS,
    Install,
    Installed,
    check,
    fresh_venv,
    install,
    installed_digest,
    locked,
)

pytestmark = pytest.mark.install

# Run by a Python that has FEDn 0.33: its code unpacks the archive and starts the entry points.
FEDN = """
import sys
from fedn.network.clients.package_runtime import PackageRuntime

folder, archive, *commands = sys.argv[1:]
runtime = PackageRuntime(folder)
runtime.pkg_name = archive
unpacked, root = runtime.unpack_compute_package()
assert unpacked
dispatcher = runtime.get_dispatcher(root)
for command in commands:
    dispatcher.run_cmd(command)
"""
# In an environment of a site: a library by the archive's name, which must not be the one to run.
ANOTHER = "raise SystemExit('error: the installed library runs')\n"


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "1", "--examples", "4000")
    project.fednkit("seed")
    return project


@pytest.fixture(scope="module")
def packages(project: Installed) -> Path:
    """The site-packages of an environment with requirements.txt, and neither fednkit nor FEDn."""
    venv = VENVS / "site-numpy"
    marker = venv / "installed.sha256"
    digest = installed_digest(project.folder)
    with locked("site-numpy"):
        if not marker.exists() or marker.read_text() != digest:
            fresh_venv(venv)
            install(venv, "-r", project.folder / "requirements.txt")
            marker.write_text(digest)
    for name in ("fednkit", "fednsite", "fedn"):
        code = f"import importlib.util as u, sys; sys.exit(u.find_spec({name!r}) is not None)"
        check(subprocess.run([venv / "bin" / "python", "-I", "-c", code], **CAPTURED))
    (found,) = venv.glob("lib/python*/site-packages")
    return found


class Site:
    """A machine with an environment, the data of a site, and a folder for models."""

    def __init__(self, project: Installed, packages: Path, folder: Path) -> None:
        self.project, self.folder = project, folder
        # One of its own, to which a test can add, before the one that is shared.
        venv = folder / "venv"
        command = [sys.executable, "-m", "venv", "--without-pip", str(venv)]
        check(subprocess.run(command, **CAPTURED))
        (self.packages,) = venv.glob("lib/python*/site-packages")
        (self.packages / "shared.pth").write_text(f"{packages}\n")
        self.package = project.unpack(folder / "package")
        (folder / "seed.npz").write_bytes((project.folder / "seed.npz").read_bytes())
        self.environment = {
            "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
            "FEDN_DATA_PATH": str(project.folder / "data" / "site-1"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def steps(self, name: str) -> list[str]:
        """Return training, validation and prediction, as a client words them."""
        out = self.folder / name
        return [
            f"train {self.folder}/seed.npz {out}",
            f"validate {out} {out}-validation",
            f"predict {out} {out}-predictions",
        ]

    def made(self, name: str) -> list[bytes]:
        """Return what the steps have written."""
        ends = "", "-metadata", "-validation", "-predictions"
        return [(self.folder / f"{name}{end}").read_bytes() for end in ends]

    def dispatch(self, step: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a step as the client of 2021 does: the words of the command, and no shell."""
        points = yaml.safe_load((self.package / "fedn.yaml").read_text("utf-8"))["entry_points"]
        name, *paths = step.split(" ")
        environment = self.environment | variables
        return subprocess.run(
            ["/usr/bin/env", *points[name]["command"].split(" "), *paths],
            cwd=self.package,
            env=environment,
            **CAPTURED,
        )

    def run(self, name: str) -> list[bytes]:
        """Run all steps with the client of 2021; return what they have written."""
        for step in self.steps(name):
            check(self.dispatch(step))
        return self.made(name)


@pytest.fixture
def site(project: Installed, packages: Path, tmp_path: Path) -> Site:
    return Site(project, packages, tmp_path)


def test_it_runs_under_the_dispatcher_of_2021_and_under_fedns_with_equal_bytes(
    site: Site, project: Installed, tmp_path: Path
) -> None:
    by_the_first = site.run("first")
    assert json.loads(by_the_first[1]) == {"num_examples": 3201}
    assert json.loads(by_the_first[2])["num_examples"] == 799
    assert len(json.loads(by_the_first[3])["probabilities"]) == 4000

    # The folder may have a blank; the paths of the models may not: FEDn does not quote them.
    folder = tmp_path / "site's package"
    folder.mkdir()
    archive = folder / "package.tgz"
    archive.write_bytes((project.folder / f"{project.folder.name}.tar.gz").read_bytes())
    command: list[str | Path] = [project.python, "-c", FEDN, folder, archive.name]
    check(subprocess.run([*command, *site.steps("now")], env=site.environment, **CAPTURED))
    assert site.made("now") == by_the_first


def test_its_library_runs_although_another_one_is_installed(site: Site) -> None:
    expected = site.run("without")
    (site.packages / "fednsite").mkdir()
    (site.packages / "fednsite" / "__init__.py").write_text(ANOTHER)
    # It would be found first from any other folder.
    code = "import fednsite"
    elsewhere: dict[str, Any] = {"cwd": site.folder, "env": site.environment}
    found = subprocess.run(["/usr/bin/env", "python", "-c", code], **elsewhere, **CAPTURED)
    assert found.stderr == "error: the installed library runs\n"
    assert site.run("with") == expected


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH came with Python 3.11")
def test_with_pythonsafepath_another_library_is_refused_in_one_line(site: Site) -> None:
    """Python would take the installed one, though it is not the one that was verified."""
    other = site.project.unpack(site.folder / "other") / "fednsite"
    other.rename(site.packages / "fednsite")
    for step in site.steps("refused"):
        result = site.dispatch(step, PYTHONSAFEPATH="1")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == (
            f"error: {site.packages}/fednsite: expected the library of the package, "
            f"{site.package}/fednsite; unset PYTHONSAFEPATH and PYTHONPATH\n"
        )
    assert not (site.folder / "refused").exists()


def change(folder: Path) -> None:
    file = folder / "fednsite" / "execution.py"
    file.write_text(file.read_text("utf-8") + "# changed\n", "utf-8")


def add(folder: Path) -> None:
    (folder / "fednsite" / "more.py").write_text("", "utf-8")


def remove(folder: Path) -> None:
    (folder / "fednsite" / "check.py").unlink()


@pytest.mark.parametrize("spoil", [change, add, remove])
def test_a_simulation_refuses_an_archive_whose_library_is_another(
    project: Installed, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """A process that has imported fednkit runs its own fednsite, wherever the package lies."""
    package = project.unpack(tmp_path / "package")
    # What another process that loads it is just writing.
    byte_code = package / "fednsite" / "__pycache__" / "check.cpython-312.pyc.140225"
    byte_code.parent.mkdir()
    byte_code.write_bytes(b"")
    code = (
        "import sys; from pathlib import Path\n"
        "from fednkit.package.library import load_library\n"
        "try: print(load_library(Path(sys.argv[1])).folder)\n"
        "except Exception as error: print(f'error: {error}')\n"
    )
    assert project.run_code(code, package) == f"{package}\n"
    spoil(package)
    assert project.run_code(code, package) == (
        f"error: {package}: its fednsite differs from that of the installed fednkit; run: make "
        "package\n"
    )
