"""The template's README says what cookiecutter.json asks."""

import re

from baking import CONTEXT, ROOT
from questions import drawn


def test_the_table_of_questions_is_that_of_the_answers_file() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert drawn(readme, CONTEXT) == readme, "run: .venv/bin/python tools/questions.py"


def test_every_picture_and_file_that_is_linked_is_there() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text("utf-8")
        targets = [t for t in re.findall(r"\]\(([^)]+)\)", text) if "://" not in t]
        assert [target for target in targets if not (ROOT / target).exists()] == []
