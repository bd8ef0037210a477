"""Answers come out verbatim in files that parse, or are refused and leave nothing behind."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from baking import ROOT, bake, generate, tree

from fednkit.project.config import read_project

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOSTILE = [
    "quotes \" and ' and \"\"\" and '''",
    "back\\slash \\n \\",
    "$(touch /tmp/pwned) `id` ; rm -rf / & | > <",
    "${HOME} %PATH% #hash",
    "<script>alert(1)</script> & more",
    "Ünïcödé 中文 العربية 🏥 \u200d",
    "{% raw %}{{ 7 * 7 }} {% endraw %}",
    "PACK my bags",
    "../../etc/passwd",
    "- [ ] # * _ ~ ` |",
    "{'a': 1} [x] {y}",
]


@pytest.mark.parametrize("answer", HOSTILE)
def test_a_hostile_answer_comes_out_verbatim(tmp_path: Path, answer: str) -> None:
    expected = answer.replace("{% raw %}", "").replace("{% endraw %}", "")
    project = bake(
        tmp_path / "out",
        project_name=answer,
        project_slug="hostile",
        author_name=answer,
        license="MIT",
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["hostile"]
    record = read_project(project)
    assert (record.name, record.author) == (expected,) * 2
    told = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["tool"]["fednkit"]
    assert (told["name"], told["author"]) == (expected,) * 2
    readme = (project / "README.md").read_text("utf-8").splitlines()
    assert readme[0] == f"# {expected}"
    assert f"Copyright (c) {expected}\n" in (project / "LICENSE").read_text("utf-8")
    plain = tree(bake(tmp_path / "plain", project_slug="hostile", license="MIT"))
    hostile = tree(project)
    changed = {name for name in plain if plain[name] != hostile[name]}
    assert changed == {"LICENSE", "README.md", "pyproject.toml"}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"project_name": ""}, "project_name: expected a text, found nothing"),
        ({"project_name": "a\nb"}, "project_name: expected printable text, found the char"),
        ({"author_name": "a\x1b[31m"}, "found the character U+001B"),
        ({"author_name": "a\u2028b"}, "found the character U+2028"),
        ({"project_slug": "../escape"}, "project_slug: expected lower-case letters"),
        ({"project_slug": "/tmp/escape"}, "project_slug: expected lower-case letters"),
        ({"project_slug": "Fraud Detection"}, "found 'Fraud Detection'"),
        ({"project_slug": "fraud--detection"}, "found 'fraud--detection'"),
        ({"project_slug": "9lives"}, "found '9lives'"),
        ({"project_slug": "x" * 61}, "expected at most 60 characters, found 61"),
        ({"project_slug": ""}, "project_slug: expected a text, found nothing"),
        ({"project_slug": "nul"}, "'nul' is a device on Windows"),
        ({"project_slug": "🏥"}, "found '\\U0001f3e5'"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, answers: dict[str, str], expected: str
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    result = generate(output, **answers)
    assert result.returncode != 0
    assert any(expected in line for line in result.stderr.splitlines() if line.startswith("error:"))
    assert list(output.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    result = generate(tmp_path / "out", project_slug="No", author_name="", project_name=" ")
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert [line.split(":")[1].strip() for line in lines] == [
        "project_name",
        "author_name",
        "project_slug",
    ]


def test_a_name_in_any_script_gives_a_slug(tmp_path: Path) -> None:
    assert bake(tmp_path / "out", project_name="Détection de fraude").name == "detection-de-fraude"


def test_the_hooks_are_valid_python_before_they_are_rendered() -> None:
    for hook in (ROOT / "hooks").glob("*.py"):
        ast.parse(hook.read_text("utf-8"))


def test_generation_ends_with_the_next_commands(tmp_path: Path) -> None:
    result = generate(tmp_path / "out")
    assert result.returncode == 0
    words = "Your project is in fraud-detection/. Next:\n\n  cd fraud-detection\n  make setup test"
    assert f"\n{words}" in result.stdout
    assert result.stdout.isascii()
    assert result.stderr == ""


def name_of(project: Path) -> str:
    return read_project(project).name


def test_an_answer_is_a_template_on_the_command_line_and_not_when_typed(tmp_path: Path) -> None:
    # Cookiecutter renders what it takes from the command line, with all that Python can do.
    answer = "{{ 7 * 7 }} {{ cycler.__init__.__globals__.os.sep }}"
    slug = "templates"
    result = generate(tmp_path / "given", project_name=answer, project_slug=slug)
    assert result.returncode == 0
    assert name_of(tmp_path / "given" / slug) == "49 /"
    command = [sys.executable, "-m", "cookiecutter", "-o", str(tmp_path / "typed"), str(ROOT)]
    answers = f"{answer}\n{slug}\n\n\n\n\n"
    subprocess.run(command, input=answers, capture_output=True, text=True, check=True)
    assert name_of(tmp_path / "typed" / slug) == answer


def test_answers_of_others_go_into_a_file_from_which_they_come_out_verbatim(
    tmp_path: Path,
) -> None:
    answers = {
        "project_name": "{% include '/etc/passwd' %}",
        "project_slug": "answers-of-others",
        "author_name": "{{ cookiecutter.clear() }}",
        "task": "mnist",
        "framework": "numpy",
        "license": "MIT",
        "__slug": "answers-of-others",
    }
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"cookiecutter": answers}), "utf-8")
    result = generate(tmp_path / "out", "--replay-file", str(file))
    assert (result.returncode, result.stderr) == (0, "")
    project = tmp_path / "out" / "answers-of-others"
    record = read_project(project)
    names = ("project_name", "author_name", "task")
    found = record.name, record.author, record.task
    assert list(found) == [answers[name] for name in names]
