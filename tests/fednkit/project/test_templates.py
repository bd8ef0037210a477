"""Templates: what a value may hold, and what happens without one."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from fednkit.project.templates import render

HOSTILE = "<b>'&\" {{ 7 * 7 }} {% raw %} {#"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with two templates; its name."""
    folder = tmp_path / "with_templates"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name in ("page.html", "page.md"):
        (folder / name).write_text("{% if text %}\n{{ text }}\n{% endif %}\nend\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder.name


def test_a_value_in_a_page_is_escaped_and_no_template(package: str) -> None:
    assert render(package, "page.html", text=HOSTILE) == (
        "&lt;b&gt;&#39;&amp;&#34; {{ 7 * 7 }} {% raw %} {#\nend\n"
    )


def test_a_value_in_any_other_text_stays_as_it_is(package: str) -> None:
    assert render(package, "page.md", text=HOSTILE) == f"{HOSTILE}\nend\n"


def test_a_name_without_a_value_is_an_error(package: str) -> None:
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        render(package, "page.md")
