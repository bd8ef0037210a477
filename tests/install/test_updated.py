"""A project of every release, edited and brought to what is here, passes its own tests."""

from pathlib import Path

import pytest
from installing import Installed
from updating import RELEASES, Template, edit

pytestmark = pytest.mark.install


@pytest.mark.parametrize("version", RELEASES)
def test_an_updated_project_passes_its_tests(tmp_path: Path, version: str) -> None:
    template = Template(tmp_path / "template")
    folder = template.generate(tmp_path / "my projects", version, framework="numpy")
    template.keep(folder)
    edit(folder, "fraud")
    template.keep(folder)
    template.update(folder)
    assert template.conflicts(folder) == []
    project = Installed(folder, "updated")
    # As a project's README has it, because requirements.txt was edited.
    assert " passed" in project.make("lock", "setup", "lint", "test")
    project.make("package", "seed")
    assert "round 3: 2 of 2 sites" in project.make("network")
