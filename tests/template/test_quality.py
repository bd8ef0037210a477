"""Everything is formatted, linted and typed, here and as it is generated; and it stays small."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import lint
import pytest
from baking import ROOT, Project
from size import size


@pytest.mark.parametrize("check", lint.CHECKS.values(), ids=lint.CHECKS.keys())
@pytest.mark.xdist_group("lint")
def test_it_is_clean(check: Callable[[], str]) -> None:
    assert check() == ""


@pytest.mark.xdist_group("lint")
def test_what_is_wrong_in_a_project_is_found(project: Project, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project(*lint.VARIANTS[0]), copy)
    metrics = copy / "client" / "model" / "metrics.py"
    lines = metrics.read_text("utf-8").splitlines()
    metrics.write_text("\n".join([*lines, "WRONG: int = 'text'", ""]), "utf-8")
    found = lint.wrong_in(copy)
    assert "unformatted: File would be reformatted\n  --> client/model/metrics.py:" in found
    assert (
        f"client/model/metrics.py:{len(lines) + 1}: error: Incompatible types in assignment "
        '(expression has type "str", variable has type "int")  [assignment]\n'
    ) in found


def test_every_file_of_a_task_or_framework_is_checked_where_it_is_generated() -> None:
    kinds = {kind for variant in lint.VARIANTS for kind in variant}
    folders = [*(ROOT / "templates" / "tasks").iterdir()]
    folders += (ROOT / "templates" / "frameworks").iterdir()
    assert {folder.name for folder in folders} == kinds


def test_a_project_is_generated_formatted_and_linted(baked: Path) -> None:
    assert lint.style(baked) == ""


def test_one_person_reads_a_project_in_fifteen_minutes(baked: Path) -> None:
    found = size(baked)
    assert found.files <= 32
    assert found.python <= 500
    assert found.readme <= 120
    stated = re.search(
        r"(\d+) files, with at most (\d+) lines", (ROOT / "README.md").read_text("utf-8")
    )
    assert stated
    assert found.files == int(stated[1])
    assert found.python <= int(stated[2])
