"""What is generated: exactly these files, all of them whole, and the same every time."""

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import baking
import pytest
import yaml
from baking import COMBINATIONS, CONTEXT, FRAMEWORKS, ROOT, TASKS, Project, bake, tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILES = """
.dockerignore .gitattributes .github/dependabot.yml .github/workflows/ci.yml .gitignore
.pre-commit-config.yaml Dockerfile LICENSE Makefile README.md SECURITY.md client/fedn.yaml
client/model/__init__.py client/model/classifier.py client/model/data.py client/model/metrics.py
client/model/schema.json client/model/settings.py client/predict.py client/train.py
client/validate.py fraud-detection.tar.gz pyproject.toml requirements-dev.txt
requirements-fedn.txt requirements.lock requirements.txt tests/test_conformance.py
tests/test_data.py tests/test_metrics.py vendor/requirements.txt
""".split()


@pytest.mark.parametrize(("task", "framework"), COMBINATIONS)
def test_exactly_these_files_are_generated(project: Project, task: str, framework: str) -> None:
    wheel = f"vendor/fednkit-{CONTEXT['_version']}-py3-none-any.whl"
    assert sorted(tree(project(task, framework))) == sorted([*FILES, wheel])


def test_every_file_parses_and_holds_no_template_code(baked: Path) -> None:
    parsers = {
        ".py": ast.parse,
        ".json": json.loads,
        ".toml": tomllib.loads,
        ".yaml": yaml.safe_load,
        ".yml": yaml.safe_load,
    }
    for name, content in tree(baked).items():
        if name.endswith((".whl", ".tar.gz")):
            continue
        text = content.decode("utf-8")
        parsers.get(Path(name).suffix, str)(text)
        assert "{{" not in text.replace("${{", "") or name.endswith(".yml"), name
        assert not re.search(r"\{%|%\}|\{#", text), name
        assert "cookiecutter" not in text, name
        assert text.endswith("\n"), name
        assert not text.endswith("\n\n"), name
        assert "\r" not in text, name


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
def test_the_makefile_lists_its_verbs(baked: Path) -> None:
    shown = subprocess.run(["make", "-C", baked], capture_output=True, text=True, check=True)
    verbs = [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("make ")]
    expected = "help setup lock test lint audit leaks package reproduce seed sites simulate "
    expected += "network image clean"
    assert verbs == expected.split()


def test_two_bakes_are_byte_identical(project: Project, tmp_path: Path) -> None:
    for task, framework in COMBINATIONS:
        again = bake(tmp_path / f"{task}-{framework}", task=task, framework=framework)
        assert tree(again) == tree(project(task, framework))


def test_without_hooks_only_the_archive_is_missing(project: Project, tmp_path: Path) -> None:
    for task, framework in COMBINATIONS:
        output = tmp_path / f"{task}-{framework}"
        without = tree(bake(output, hooks=False, task=task, framework=framework))
        expected = tree(project(task, framework))
        del expected["fraud-detection.tar.gz"]
        assert without == expected


PYTHONS = [
    path
    for path in [sys.executable, *(shutil.which(f"python3.{minor}") for minor in (10, 11, 12))]
    if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
]


@pytest.mark.parametrize("python", PYTHONS)
def test_the_archive_is_built_straight_from_the_wheel_on_the_standard_library_alone(
    project: Project, tmp_path: Path, python: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project("fraud", "numpy"), copy)
    for path in (copy / "client").rglob("*"):
        path.touch()
    archive = copy / "fraud-detection.tar.gz"
    before = archive.read_bytes()
    archive.unlink()
    (wheel,) = (copy / "vendor").glob("*.whl")
    # -I and -S: on the standard library alone, as the hook needs it.
    code = f"import sys, runpy; sys.path.insert(0, {str(wheel)!r}); "
    code += "runpy.run_module('fednkit.package', run_name='__main__')"
    command = [python, "-I", "-S", "-B", "-c", code]
    shown = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True)
    assert archive.read_bytes() == before
    assert f"SHA-256 {hashlib.sha256(before).hexdigest()}\n" in shown.stdout


def test_only_the_models_files_differ_between_frameworks(project: Project) -> None:
    one, *others = (tree(project("fraud", framework)) for framework in FRAMEWORKS)
    for other in others:
        changed = {name for name in one if one[name] != other[name]}
        # TensorFlow has parts that the image leaves out, and a build for GPUs.
        assert changed - {"Dockerfile", "README.md"} == {
            "client/model/classifier.py",
            "fraud-detection.tar.gz",
            "requirements.lock",
            "requirements.txt",
        }


def test_there_are_six_questions_and_each_has_its_words() -> None:
    questions = [name for name in CONTEXT if not name.startswith("_")]
    derived = ["project_name", "project_slug", "author_name"]
    assert questions == [*derived, "task", "framework", "license"]
    assert sorted(CONTEXT["__prompts__"]) == sorted(questions)
    for name in ("task", "framework"):
        assert set(CONTEXT["__prompts__"][name]) == {"__prompt__", *CONTEXT[name]}
    assert list(CONTEXT["_tasks"]) == CONTEXT["task"]
    assert list(CONTEXT["_frameworks"]) == CONTEXT["framework"]


def test_the_pythons_of_the_image_are_those_that_a_project_runs_on(baked: Path) -> None:
    [line] = re.findall(r"^VERSIONS := (.*)", (baked / "Makefile").read_text("utf-8"), re.M)
    assert line.split() == CONTEXT["_python_versions"]


def test_every_requirement_is_pinned(baked: Path) -> None:
    for name in ("requirements.txt", "requirements-fedn.txt", "requirements-dev.txt"):
        lines = (baked / name).read_text("utf-8").splitlines()
        needs = [line for line in lines if line and not line.startswith(("#", "-r"))]
        assert needs
        assert all(re.match(r"[\w.-]+(\[\w+\])?==[\d.]+(\+cpu)?(;|$)", need) for need in needs), (
            needs
        )


def test_the_templates_own_tools_are_those_of_the_projects() -> None:
    own = set((ROOT / "requirements-dev.txt").read_text("utf-8").splitlines())
    folder = ROOT / "{{cookiecutter.__slug}}"
    theirs = (folder / "requirements-dev.txt").read_text("utf-8").splitlines()
    theirs += CONTEXT["_common_requirements"]
    theirs += [need for table in CONTEXT["_tasks"].values() for need in table["requirements"]]
    names = {line.split("==")[0]: line for line in theirs if "==" in line}
    for line in own:
        assert names.get(line.split("==")[0], line) == line


def test_the_python_of_the_template_is_plain_python() -> None:
    stub = re.compile(r'\{% include "(tasks|frameworks)/" ~ cookiecutter\.\w+ ~ "/\w+\.py" -%\}\n')
    for path in (ROOT / "{{cookiecutter.__slug}}").rglob("*.py"):
        text = path.read_text("utf-8")
        if not stub.fullmatch(text):
            ast.parse(text)
            assert not re.search(r"\{\{|\{%|\{#", text), path
    for path in (ROOT / "templates").rglob("*.py"):
        ast.parse(path.read_text("utf-8"))
        assert not re.search(r"\{\{|\{%|\{#", path.read_text("utf-8")), path


@pytest.mark.parametrize("license", CONTEXT["license"])
def test_the_license_is_the_one_that_was_chosen(tmp_path: Path, license: str) -> None:
    project = bake(tmp_path / "out", hooks=False, license=license, author_name="Ada & Co.")
    text = (project / "LICENSE").read_text("utf-8")
    titles = {
        "Apache-2.0": "Apache License",
        "BSD-3-Clause": "BSD 3-Clause License",
        "MIT": "MIT License",
        "Proprietary": "Copyright (c) Ada & Co.. All rights reserved.",
    }
    assert text.splitlines()[0].strip() == titles[license]
    # Apache's is the same for everybody.
    assert ("Ada & Co." in text) == (license != "Apache-2.0")


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_schema_says_of_each_column_what_it_is_and_its_limits(task: str) -> None:
    schema = json.loads((ROOT / "templates" / "tasks" / task / "schema.json").read_text("utf-8"))
    for field in schema["fields"]:
        assert {"name", "title", "type", "constraints"} <= set(field)
        assert field["constraints"]["required"] is True
        limits = set(field["constraints"]) - {"required"}
        expected = [set()] if field["type"] == "boolean" else [{"minimum", "maximum"}, {"enum"}]
        assert limits in expected, field["name"]


def test_a_template_with_the_line_ends_of_windows_gives_the_same_project(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tree(project("fraud", "numpy"))
    template = tmp_path / "template"
    for folder in ("{{cookiecutter.__slug}}", "templates", "hooks"):
        shutil.copytree(ROOT / folder, template / folder)
    shutil.copy(ROOT / "cookiecutter.json", template)
    for path in template.rglob("*"):
        if path.is_file() and b"\0" not in path.read_bytes() and ".github" not in path.parts:
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setattr(baking, "ROOT", template)
    assert tree(bake(tmp_path / "out", task="fraud", framework="numpy")) == expected
