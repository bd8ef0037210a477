"""The doctor finds what is wrong, says what mends it, and finds nothing in a healthy project."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from installing import Install, Installed, replace_in_wheel

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def healthy(installed: Install) -> Installed:
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "2", "--examples", "4000")
    project.fednkit("seed")
    return project


@pytest.fixture
def folder(healthy: Installed, tmp_path: Path) -> Path:
    """A copy of a healthy project, to be spoilt."""
    return shutil.copytree(healthy.folder, tmp_path / "project")


def examine(
    healthy: Installed, folder: Path, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = healthy.program("doctor", *options)
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def lines(result: subprocess.CompletedProcess[str], verdict: str) -> dict[str, str]:
    """Return the words of each check with a verdict, by the check's name."""
    found = [line for line in result.stdout.splitlines() if line.startswith(verdict)]
    pairs = [line.removeprefix(verdict).strip().split(": ", 1) for line in found]
    return dict(pairs)


def test_a_healthy_project_is_all_right(healthy: Installed) -> None:
    result = examine(healthy, healthy.folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    assert all(line.startswith("ok ") for line in result.stdout.splitlines())
    assert len(lines(result, "ok")) == 16


def test_so_is_a_fresh_one_with_its_archive_and_seed(installed: Install) -> None:
    project = installed("mnist", "numpy")
    project.fednkit("seed")
    result = examine(project, project.folder)
    assert result.returncode == 0, result.stdout
    assert lines(result, "ok")["data"] == "no trial sites yet"


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")

    return plant


def write(name: str, text: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")

    return plant


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def build(folder: Path) -> None:
    # From the wheel, as the template's hook builds it.
    (wheel,) = (folder / "vendor").glob("*.whl")
    command = [sys.executable, "-B", "-m", "fednkit", "package"]
    environment = os.environ | {"PYTHONPATH": str(wheel)}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def rebuilt(plant: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        plant(folder)
        build(folder)

    return both


def another_models_seed(folder: Path) -> None:
    rebuilt(edit("client/model/classifier.py", "(64, 32)", "(8, 4)"))(folder)


def data_under_version_control(folder: Path) -> None:
    for command in ("init -q", "add -f data"):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)


FAULTS = {
    "another version installed": (
        edit("requirements.txt", "numpy==2.2.6", "numpy==2.2.5"),
        "packages",
        "numpy: expected 2.2.5, found 2.2.6; run: make clean setup",
    ),
    "another version of FEDn installed": (
        edit("requirements-fedn.txt", "fedn==0.33.0", "fedn==0.32.0"),
        "packages",
        "fedn: expected 0.32.0, found 0.33.0; run: make clean setup",
    ),
    "a package missing": (
        edit("requirements.txt", "numpy==2.2.6", "numpy==2.2.6\na-missing-one==1.0"),
        "packages",
        "a-missing-one: expected 1.0, found none; run: make clean setup",
    ),
    "a lock file older than the requirements": (
        edit("requirements.lock", "numpy==2.2.6", "numpy==2.2.5"),
        "lock file",
        "numpy: expected 2.2.6, found 2.2.5; run: make lock",
    ),
    "no lock file": (
        remove("requirements.lock"),
        "lock file",
        "expected requirements.lock, found none; run: make lock",
    ),
    "no entry point to train": (
        rebuilt(edit("client/fedn.yaml", "train:", "training:")),
        "fedn.yaml",
        "client/fedn.yaml: expected the entry point 'train', found none",
    ),
    "an entry point that is not there": (
        rebuilt(edit("client/fedn.yaml", "python train.py", "python learn.py")),
        "fedn.yaml",
        "client/fedn.yaml: 'python learn.py': expected client/learn.py, found none",
    ),
    "no YAML": (
        rebuilt(edit("client/fedn.yaml", "entry_points:", "entry_points: [")),
        "fedn.yaml",
        "client/fedn.yaml: expected entry_points with commands: while parsing a flow sequence",
    ),
    "a second fedn.yaml": (
        rebuilt(write("client/model/fedn.yaml", "entry_points: {}\n")),
        "fedn.yaml",
        "client/model/fedn.yaml: FEDn takes the first fedn.yaml that it meets; remove this one",
    ),
    "an archive older than its sources": (
        edit("client/model/settings.py", "epochs: int = 3", "epochs: int = 2"),
        "package",
        "fraud-detection.tar.gz is older than its sources; run: make package",
    ),
    "no archive": (
        remove("fraud-detection.tar.gz"),
        "package",
        "fraud-detection.tar.gz: expected the package, found none; run: make package",
    ),
    "a secret in the package": (
        write("client/site.key", "secret\n"),
        "package",
        "refused to package: client/site.key looks like a secret by its name. Move it out of",
    ),
    "data in the package": (
        write("client/transactions.csv", "amount\n"),
        "package",
        "refused to package: client/transactions.csv is a data or model file. Move it out of",
    ),
    "a library that needs FEDn": (
        rebuilt(edit("client/model/data.py", "import numpy", "import fedn\nimport numpy")),
        "model library",
        "client/model/data.py imports fedn or fednkit, which sites may not have",
    ),
    "a setting that makes no sense": (
        rebuilt(edit("client/model/settings.py", "epochs: int = 3", "epochs: int = 0")),
        "model library",
        "setting 'epochs': expected a number above 0, found 0",
    ),
    "a library that does not load": (
        rebuilt(edit("client/model/data.py", "import numpy as np", "import nampy as np")),
        "model library",
        "ModuleNotFoundError: No module named 'nampy'",
    ),
    "a schema without a label": (
        rebuilt(edit("client/model/schema.json", '"label"', '"labels"')),
        "model library",
        "schema.json: expected an entry 'label', found none",
    ),
    "no seed model": (
        remove("seed.npz"),
        "seed model",
        "seed.npz: expected the seed model, found none; run: make seed",
    ),
    "a seed of another model": (
        another_models_seed,
        "seed model",
        "was it made for another model?; make a new one: make seed",
    ),
    "a site's data that breaks the contract": (
        edit("data/site-2/transactions.csv", ",0\n", ",7\n"),
        "data",
        "data/site-2/transactions.csv: column 'fraud', row 1: expected one of 0, 1, found '7'",
    ),
    "an entry point that fails": (
        rebuilt(edit("client/train.py", "step.model.fit(", "step.model.fitt(")),
        "entry points",
        "train.py: AttributeError: 'Classifier' object has no attribute 'fitt'",
    ),
    "an invitation for another package": (
        write("invitations/bank/client.yaml", 'package_checksum: "0"\n'),
        "invitations",
        "invitations/bank was written for another package, which its client would reject; remove",
    ),
    "data under version control": (
        data_under_version_control,
        "version control",
        "git contains data/site-1/transactions.csv and 2 more; run: git rm -r --cached 'data/",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_finds_what_is_wrong_in_the_project(
    healthy: Installed, folder: Path, fault: str
) -> None:
    plant, check, expected = FAULTS[fault]
    plant(folder)
    result = examine(healthy, folder)
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    assert expected in lines(result, "wrong")[check].replace(str(folder), "")
    assert result.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("variables", "check", "expected"),
    [
        ({"TMPDIR": "{} my"}, "temporary folder", "breaks FEDn's commands; run: export TMPDIR="),
        (
            {"FEDN_PACKAGE_EXTRACT_DIR": "/tmp/package"},
            "environment",
            "all sites would unpack the package into one folder; run: unset FEDN_PACKAGE_EXTRACT_",
        ),
        (
            {"FEDN_AUTH_SCHEME": "Token"},
            "environment",
            "controllers expect the scheme Bearer; run: unset FEDN_AUTH_SCHEME",
        ),
        (
            {"http_proxy": "http://proxy.example:3128", "no_proxy": ""},
            "loopback",
            "run: export no_proxy=127.0.0.1,localhost",
        ),
    ],
)
def test_it_finds_what_is_wrong_on_the_machine(
    healthy: Installed, tmp_path: Path, variables: dict[str, str], check: str, expected: str
) -> None:
    place = tmp_path / "a my"
    place.mkdir()
    values = {name: value.format(tmp_path / "a") for name, value in variables.items()}
    result = examine(healthy, healthy.folder, **values)
    assert result.returncode == 1
    assert list(lines(result, "wrong")) == [check]
    assert expected in lines(result, "wrong")[check]


def test_it_finds_a_python_that_fedn_does_not_run_on(healthy: Installed) -> None:
    code = "import runpy, sys; sys.version_info = (3, 13, 0, 'final', 0); sys.argv[1:] = ['doctor']"
    code += "; runpy.run_module('fednkit', run_name='__main__')"
    command: list[str | Path] = [healthy.python, "-c", code]
    result = subprocess.run(
        command, cwd=healthy.folder, capture_output=True, text=True, check=False
    )
    assert lines(result, "wrong")["python"] == (
        "expected 3.10, 3.11 or 3.12, found 3.13.0; run: make setup PYTHON=/path/to/python3.12"
    )


def test_without_anything_installed_it_says_so(healthy: Installed) -> None:
    (wheel,) = (healthy.folder / "vendor").glob("*.whl")
    code = f"import sys, runpy; sys.path.insert(0, {str(wheel)!r}); "
    code += "sys.argv[1:] = ['doctor']; runpy.run_module('fednkit', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=healthy.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "found none" in lines(result, "wrong")["packages"]
    assert lines(result, "wrong")["packages"].endswith("run: make clean setup")
    assert lines(result, "wrong")["fednkit"].endswith("run: make setup")


def change_wheel(folder: Path) -> None:
    (wheel,) = (folder / "vendor").glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"\0")


def other_wheel(folder: Path) -> None:
    """Put another wheel, with its hash, in the place of the one that is installed."""
    (wheel,) = (folder / "vendor").glob("*.whl")
    replace_in_wheel(wheel, "fednkit/cli/main.py", b"(arguments: list", b"(arguments:  list")


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (change_wheel, r"vendor/fednkit-\S+-py3-none-any\.whl was changed: expected SHA-256 "
                       r"[0-9a-f]{64}, found [0-9a-f]{64}; restore it from git, or by: cruft upd"),
        (other_wheel, r"/.*/site-packages/fednkit/cli/main\.py: expected the content of vendor/"
                      r"fednkit-\S+-py3-none-any\.whl, found another; run: make setup"),
    ],
)  # fmt: skip
def test_it_finds_a_library_that_is_not_the_one_of_the_project(
    healthy: Installed, folder: Path, plant: Callable[[Path], None], expected: str
) -> None:
    plant(folder)
    result = examine(healthy, folder)
    assert result.returncode == 1
    assert re.match(expected, lines(result, "wrong")["fednkit"])
