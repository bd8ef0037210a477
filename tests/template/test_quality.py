"""Everything is formatted, linted and typed, here and as it is generated; and it stays small."""

from collections.abc import Callable
from pathlib import Path

import lint
import pytest
from baking import ROOT
from size import size


@pytest.mark.parametrize("check", lint.CHECKS.values(), ids=lint.CHECKS.keys())
@pytest.mark.xdist_group("lint")
def test_it_is_clean(check: Callable[[], str]) -> None:
    assert check() == ""


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
