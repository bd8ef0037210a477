"""The output is clean as it falls: formatted, linted and typed, with no fix-up."""

import subprocess
import sys
from pathlib import Path

from baking import ROOT


def run(*command: str, cwd: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_generated_project_is_formatted_linted_and_typed(baked: Path, tmp_path_factory) -> None:
    run("ruff", "format", "--check", "--no-cache", ".", cwd=baked)
    run("ruff", "check", "--no-cache", ".", cwd=baked)
    # One cache for all: most files are the same in every combination.
    cache = tmp_path_factory.getbasetemp() / "mypy"
    run("mypy", "--cache-dir", str(cache), cwd=baked)


def test_the_template_is_formatted_and_linted_where_it_lies() -> None:
    options = "--config", "pyproject.toml", "--no-cache", "."
    run("ruff", "format", "--check", *options, cwd=ROOT)
    run("ruff", "check", *options, cwd=ROOT)


def test_no_file_is_too_long_to_read(baked: Path) -> None:
    lengths = {
        path.relative_to(baked).as_posix(): len(path.read_text("utf-8").splitlines())
        for folder in ("client", "federation")
        for path in (baked / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > 250} == {}
