"""The output is clean as it falls: formatted, linted and typed, with no fix-up."""

import subprocess
import sys
from pathlib import Path

import check_types
import pytest
from baking import ROOT, Project
from check_types import FOLDER, VARIANTS, included


def run(*command: str, cwd: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_generated_project_is_formatted_and_linted(baked: Path) -> None:
    run("ruff", "format", "--check", "--no-cache", ".", cwd=baked)
    run("ruff", "check", "--no-cache", ".", cwd=baked)


def test_the_template_is_formatted_and_linted_where_it_lies() -> None:
    options = "--config", "pyproject.toml", "--no-cache", "."
    run("ruff", "format", "--check", *options, cwd=ROOT)
    run("ruff", "check", *options, cwd=ROOT)


def test_the_template_is_typed_where_it_lies() -> None:
    assert check_types.wrong() == []


def test_every_file_of_a_task_or_framework_is_typed_in_the_place_where_it_is_included() -> None:
    checked = {file for variant in VARIANTS for file in included(*variant).values()}
    files = (path.relative_to(ROOT) for path in (ROOT / "templates").rglob("*.py"))
    assert checked == {path.as_posix() for path in files}


def test_what_is_wrong_is_told_of_the_file_where_it_stands(tmp_path: Path) -> None:
    files = included(*VARIANTS[0])
    stub = f"{FOLDER}/client/model/metrics.py"
    lines = (ROOT / files[stub]).read_text("utf-8").splitlines()
    files[stub] = str(tmp_path / "metrics.py")
    Path(files[stub]).write_text("\n".join([*lines, "WRONG: int = 'text'", ""]), "utf-8")
    assert check_types.mypy(FOLDER, files) == (
        f"{files[stub]}:{len(lines) + 1}: error: Incompatible types in assignment "
        '(expression has type "str", variable has type "int")  [assignment]\n'
    )


# Once is enough for a file that lies in the template: this is for how they come together.
@pytest.mark.parametrize(("task", "framework"), VARIANTS)
def test_a_generated_project_is_typed(project: Project, task: str, framework: str) -> None:
    cache = str(check_types.CACHES / "project")
    run("mypy", "--cache-dir", cache, cwd=project(task, framework))


def test_no_file_is_too_long_to_read(baked: Path) -> None:
    lengths = {
        path.relative_to(baked).as_posix(): len(path.read_text("utf-8").splitlines())
        for folder in ("client", "federation")
        for path in (baked / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > 250} == {}
