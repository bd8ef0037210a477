"""Another Python than FEDn's gets one clear line, and nothing is made."""

import subprocess
from pathlib import Path

import pytest
from baking import ROOT, bake


@pytest.fixture
def too_new(tmp_path: Path) -> Path:
    """A Python that says it is 3.13."""
    python = tmp_path / "python3.13"
    python.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.13.0 || exit 1\n')
    python.chmod(0o755)
    return python


@pytest.mark.parametrize("which", ["template", "project"])
def test_another_python_gets_one_clear_line(too_new: Path, tmp_path: Path, which: str) -> None:
    if which == "template":
        folder = tmp_path / "template"
        folder.mkdir()
        vendor = "{{cookiecutter.__slug}}/vendor"
        (folder / vendor).mkdir(parents=True)
        for name in ("Makefile", "requirements-dev.txt", f"{vendor}/requirements.txt"):
            (folder / name).write_bytes((ROOT / name).read_bytes())
    else:
        folder = bake(tmp_path / "out", hooks=False)
    result = subprocess.run(
        ["make", "-C", folder, "setup", f"PYTHON={too_new}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    line, makes_own = result.stderr.splitlines()
    assert line == (
        "error: expected Python 3.10, 3.11 or 3.12, found Python 3.13.0; "
        "install one, or name it: make setup PYTHON=/path/to/python3.12"
    )
    assert makes_own.startswith("make")
    assert not (folder / ".venv").exists()
