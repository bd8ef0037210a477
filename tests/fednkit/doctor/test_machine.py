"""What the doctor looks for on a machine, without a project that is set up."""

from pathlib import Path

import pytest
from library import write_project

from fednkit.doctor import _machine as machine
from fednkit.project.errors import ProjectError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose requirements are pinned in all files that it has for them."""
    root = write_project(tmp_path / "project")
    monkeypatch.chdir(root)
    (root / "requirements.txt").write_text("numpy==2.2.6\n")
    (root / "requirements-fedn.txt").write_text("# FEDn's own client.\nfedn==0.33.0\n")
    (root / "requirements-dev.txt").write_text(
        "-r requirements.txt\n-r requirements-fedn.txt\nmongomock==4.3.0\n"
        "never==1.0 ; python_version < '3'\n"
    )
    return root


def test_the_pins_of_every_requirements_file_count_where_their_marker_holds(root: Path) -> None:
    assert machine.pinned_requirements() == [
        ("numpy", "2.2.6"),
        ("fedn", "0.33.0"),
        ("mongomock", "4.3.0"),
    ]


@pytest.mark.parametrize(
    ("name", "pin", "expected"),
    [
        ("requirements.txt", "numpy==2.2.5", "numpy: expected 2.2.5, found 2.2.6"),
        ("requirements-fedn.txt", "fedn==0.32.0", "fedn: expected 0.32.0, found 0.33.0"),
        ("requirements-dev.txt", "no-such-package==1", "no-such-package: expected 1, found none"),
    ],
)
def test_another_version_than_the_pinned_one_is_named(
    root: Path, name: str, pin: str, expected: str
) -> None:
    (root / name).write_text(f"{pin}\n")
    with pytest.raises(ProjectError) as error:
        machine.packages()
    assert str(error.value) == f"{expected}; run: make clean setup"
