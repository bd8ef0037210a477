"""Nothing of the template's Jinja is dead: every arm is taken by somebody, every name is used."""

import json
from pathlib import Path
from typing import Any

import pytest
from baking import ROOT
from jinja_coverage import findings

PLANTED: dict[str, Any] = {
    "slug": "planted",
    "kind": ["a", "b"],
    "_kinds": {"a": {"port": 1}, "b": {"port": 2}},
    "_copy_without_render": ["copied*"],
}
SOUND = {
    "note.txt": "{% if cookiecutter.kind == 'a' %}A{% elif cookiecutter.kind == 'b' %}B"
    "{% endif %}{{ cookiecutter._kinds[cookiecutter.kind].port }}",
    "stub.txt": '{% include "kinds/" ~ cookiecutter.kind ~ ".txt" %}',
}
KINDS = {"a.txt": "of a", "b.txt": "of b"}


def plant(root: Path, files: dict[str, str], **variables: Any) -> list[str]:
    """Return what is found in a small template that is sound but for what is planted."""
    template = root / "{{cookiecutter.slug}}"
    kinds = {name[6:]: text for name, text in files.items() if name.startswith("kinds/")}
    hooks = {name[6:]: text for name, text in files.items() if name.startswith("hooks/")}
    tree = {name: text for name, text in files.items() if name[:6] not in ("kinds/", "hooks/")}
    for folder, texts in (
        (template, SOUND | tree),
        (root / "templates" / "kinds", KINDS | kinds),
        (root / "hooks", hooks),
    ):
        folder.mkdir(parents=True)
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
    (root / "cookiecutter.json").write_text(json.dumps(PLANTED | variables), "utf-8")
    return findings(root)


def test_every_arm_and_include_is_taken_and_every_variable_is_used_and_known() -> None:
    assert findings(ROOT) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        # That `b` is all that is left is why this else is never reached.
        ("note.txt", "{% if cookiecutter.kind == 'a' %}{% elif cookiecutter.kind == 'b' %}"
         "{% else %}C{% endif %}{{ cookiecutter._kinds.a.port }}",
         ["note.txt, line 1: the else of the condition NEVER"]),
        ("x.txt", "\n{% if cookiecutter.kind == 'c' %}C{% endif %}",
         ["x.txt, line 2: this arm of the condition NEVER"]),
        ("x.txt", "{% if cookiecutter.kind %}always{% endif %}",
         ["x.txt, line 1: the else of the condition NEVER"]),
        ("x.txt",
         "{% if cookiecutter.kind == 'a' %}\n{% elif cookiecutter.kind == 'c' %}{% endif %}",
         ["x.txt, line 2: this arm of the condition NEVER"]),
        ("x.txt", "{% for one in [] %}{{ one }}{% endfor %}",
         ["x.txt, line 1: the body of the loop NEVER"]),
        ("x.txt", "{% for one in [1] %}{{ one }}{% else %}none{% endfor %}",
         ["x.txt, line 1: the else of the loop NEVER"]),
        ("x.txt", "{{ 'C' if cookiecutter.kind == 'c' else 'D' }}",
         ["x.txt, line 1: the value under `if` NEVER"]),
        ("x.txt", "{{ 'C' if cookiecutter.kind else 'D' }}",
         ["x.txt, line 1: the value under `else` NEVER"]),
        ("x.txt", "{% include 'kinds/c.txt' ignore missing %}",
         ["x.txt, line 1: the include NEVER"]),
        ("kinds/c.txt", "of nobody", ["templates/kinds/c.txt is included by nobody"]),
        ("kinds/a.txt", "{% if cookiecutter.kind == 'b' %}B{% endif %}",
         ["kinds/a.txt, line 1: this arm of the condition NEVER"]),
        ("{% if cookiecutter.kind == 'c' %}x{% endif %}", "",
         ["the name {% if cookiecutter.kind == 'c' %}x{% endif %}, line 1: "
          "this arm of the condition NEVER"]),
        ("hooks/post_gen_project.py", "{% if not cookiecutter.kind %}C{% endif %}",
         ["hooks/post_gen_project.py, line 1: this arm of the condition NEVER"]),
        ("x.txt",
         "{% if cookiecutter.kind == 'a' %}{% else %}{% if 0 %}{{ who }}{% endif %}{% endif %}",
         ["x.txt, line 1: this arm of the condition (2) NEVER",
          "x.txt: who is unknown"]),
        ("x.txt", "{{ cookiecutter.items() }}", ["x.txt: cookiecutter.items is unknown"]),
        ("x.txt", "{{ cookiecutter['_output_dir'] }}", []),
        ("x.txt", "{% set one = 1 %}{{ one }}{% for two in range(2) %}{{ two }}{% endfor %}", []),
        ("{% if cookiecutter.kind == 'a' %}x{% endif %}", "{{ cookiecutter.kind }}", []),
        ("copied.yml", "{{ github.ref }} {% if %}", []),
        ("copied/inside.yml", "{{ github.ref }} {% if %}", []),
    ],
)  # fmt: skip
def test_what_is_planted_in_a_sound_template_is_found(
    tmp_path: Path, name: str, text: str, expected: list[str]
) -> None:
    sentences = [line.replace("NEVER", "is taken in no combination") for line in expected]
    assert plant(tmp_path, {name: text}) == sentences


def test_an_include_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    assert plant(tmp_path, {"x.txt": "{% include 'kinds/c.txt' %}"}) == [
        "x.txt, line 1: the include is taken in no combination",
        "x.txt: kinds/c.txt is not found",
    ]


def test_a_variable_that_nobody_gives_is_found(tmp_path: Path) -> None:
    assert plant(tmp_path, {"x.txt": "{{ cookiecutter.who }}"}) == [
        "x.txt: 'collections.OrderedDict object' has no attribute 'who'",
        "x.txt: cookiecutter.who is unknown",
    ]


def test_a_variable_or_a_key_of_a_table_that_nobody_uses_is_found(tmp_path: Path) -> None:
    kinds = {"a": {"port": 1, "title": "A"}, "b": {"port": 2, "title": "B"}}
    assert plant(tmp_path, {}, _kinds=kinds, color="red", __derived="{{ cookiecutter.color }}") == [
        "cookiecutter.json: __derived is unused",
        "cookiecutter.json: title in _kinds is unused",
    ]
