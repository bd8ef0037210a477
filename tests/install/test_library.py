"""The library of a project comes from vendor/ alone, by its hash; a checkout can take its place."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from baking import ROOT
from installing import CAPTURED, Install, Installed, check, replace_in_wheel

from fednkit import __version__
from fednkit.project.config import read_project

pytestmark = pytest.mark.install


class Separate:
    """An environment of one's own, which finds all but the library in the shared one.

    So `make setup` has nothing else to install into it: pip takes for installed what Python finds.
    """

    def __init__(self, project: Installed, folder: Path) -> None:
        self.project, self.venv = project.folder, folder
        self.python = folder / "bin" / "python"
        check(subprocess.run([sys.executable, "-m", "venv", folder], **CAPTURED))
        (shared,) = project.venv.glob("lib/python*/site-packages")
        (self.packages,) = folder.glob("lib/python*/site-packages")
        (self.packages / "shared.pth").write_text(f"{shared}\n")

    def setup(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `make setup`."""
        command: list[str | Path] = ["make", "-C", self.project, "setup", f"VENV={self.venv}"]
        command.append(f"PYTHON={sys.executable}")
        return subprocess.run(command, env=os.environ | variables, **CAPTURED)

    def run(self, *command: str | Path, **variables: str) -> str:
        """Run a program of the environment, which must succeed, in the project."""
        program = self.venv / "bin" / command[0]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | variables
        done = subprocess.run(
            [program, *command[1:]], cwd=self.project, env=environment, **CAPTURED
        )
        return check(done)

    def holds_the_wheel(self) -> bool:
        """Tell whether what is installed is what the wheel in vendor/ holds."""
        (wheel,) = (self.project / "vendor").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return all(
                (self.packages / name).read_bytes() == archive.read(name)
                for name in archive.namelist()
                if ".dist-info/" not in name
            )


@pytest.fixture
def separate(installed: Install, tmp_path: Path) -> Separate:
    return Separate(installed("fraud", "numpy"), tmp_path / "venv")


def index(folder: Path) -> dict[str, str]:
    """Make a folder of wheels, and an index, that have a newer `fednkit`; return pip's settings."""
    page = folder / "simple" / "fednkit"
    page.mkdir(parents=True)
    name = "fednkit-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(page / name, "w") as wheel:
        wheel.writestr("fednkit/__init__.py", "raise SystemExit('not the library')\n")
        head = "Metadata-Version: 2.1\nName: fednkit\nVersion: 9.9.9\n"
        wheel.writestr("fednkit-9.9.9.dist-info/METADATA", head)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("fednkit-9.9.9.dist-info/WHEEL", tags)
        wheel.writestr("fednkit-9.9.9.dist-info/RECORD", "")
    (page / "index.html").write_text(f'<a href="{name}">{name}</a>\n')
    return {"PIP_FIND_LINKS": str(page), "PIP_EXTRA_INDEX_URL": (folder / "simple").as_uri()}


def test_it_is_installed_from_vendor_though_an_index_has_a_newer_one(
    separate: Separate, tmp_path: Path
) -> None:
    settings = index(tmp_path / "index")
    dry = "install", "--dry-run", "--no-deps", "--ignore-installed", "fednkit"
    assert "Would install fednkit-9.9.9" in separate.run("pip", *dry, **settings)
    check(separate.setup(**settings))
    assert (
        separate.run("fednkit", "where")
        == f"fednkit {__version__}, installed: {separate.packages}\n"
    )
    assert separate.holds_the_wheel()


def test_it_is_installed_again_when_the_wheel_is_another_and_refused_when_its_hash_is(
    separate: Separate,
) -> None:
    check(separate.setup())
    (wheel,) = (separate.project / "vendor").glob("*.whl")
    changed = separate.packages / "fednkit" / "cli" / "main.py"
    changed.write_text("# changed\n" + changed.read_text("utf-8"), "utf-8")
    # Of the same version, as the next commit of a template between two releases has it.
    replace_in_wheel(wheel, "fednkit/cli/__init__.py", b'"""', b'"""Once more. ')
    assert not separate.holds_the_wheel()
    check(separate.setup())
    assert separate.holds_the_wheel()
    assert not changed.read_text("utf-8").startswith("# changed")

    wheel.write_bytes(wheel.read_bytes() + b"\0")
    refused = separate.setup()
    assert refused.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr
    assert refused.stderr.count(f"fednkit=={__version__}") == 1
    # What was there before still runs, and setting up is not taken for done.
    assert separate.run("fednkit", "where").startswith(f"fednkit {__version__}, installed: ")
    assert separate.setup().returncode != 0


def test_a_checkout_can_take_its_place(separate: Separate) -> None:
    check(separate.setup())
    separate.run("pip", "install", "--quiet", "--no-deps", "--editable", ROOT)
    words = f"{__version__}, a checkout in the place of vendor/: {ROOT / 'src'}"
    assert separate.run("fednkit", "where") == f"fednkit {words}\n"
    code = "import fednkit, fednsite; print(fednkit.__file__, fednsite.__file__, sep='\\n')"
    assert separate.run("python", "-c", code).splitlines() == [
        str(ROOT / "src" / package / "__init__.py") for package in ("fednkit", "fednsite")
    ]
    # The archive holds the checkout's fednsite from now on.
    separate.run("fednkit", "package")
    separate.run("fednkit", "seed")
    assert f"ok    fednkit: {words}\n" in separate.run("fednkit", "doctor")


def test_a_project_of_another_major_version_is_refused_in_one_line(installed: Install) -> None:
    project = installed("fraud", "numpy")
    record = project.folder / "pyproject.toml"
    text = record.read_text("utf-8")
    recorded = f'version = "{read_project(project.folder).version}"'
    assert recorded in text
    record.write_text(text.replace(recorded, 'version = "99.0.0"'), "utf-8")
    result = project.attempt("package")
    major = __version__.partition(".")[0]
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: {record}: expected a project of fednkit {major}, found one of version 99.0.0; "
        "run: make setup, or update the project: cruft update\n"
    )
    # What finds the cause runs all the same.
    assert project.fednkit("where").startswith(f"fednkit {__version__}, ")
    assert f"wrong version: {record}: expected" in project.attempt("doctor").stdout
