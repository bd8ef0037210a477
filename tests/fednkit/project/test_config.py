"""The project that the working folder lies in, and its record in pyproject.toml."""

import sys
from pathlib import Path

import pytest
from library import write_project

from fednkit import __version__
from fednkit.cli.main import main
from fednkit.project.config import Project, check_version, current, read_project
from fednkit.project.errors import ProjectError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = "version", "task", "slug", "name", "description", "author", "release"


def refusal(root: Path) -> str:
    with pytest.raises(ProjectError) as error:
        read_project(root)
    message = str(error.value)
    assert message.startswith(f"{root / 'pyproject.toml'}")
    assert "\n" not in message
    return message.removeprefix(str(root / "pyproject.toml"))


def edited(root: Path, old: str, new: str) -> Path:
    """Write a project's record in which one text is another."""
    file = write_project(root) / "pyproject.toml"
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")
    return root


def test_the_project_is_found_from_its_folder_and_from_those_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_project(tmp_path / "project")
    below = root / "client" / "model"
    below.mkdir(parents=True)
    for folder in (root, root / "client", below):
        monkeypatch.chdir(folder)
        assert current() == Project(
            root,
            version=__version__,
            task="fraud",
            slug="fraud-detection",
            name="Fraud Detection",
            description="Finds fraud.",
            author="A. Author",
            release="0.1.0",
        )


@pytest.mark.parametrize("command", [["docs"], ["docs", "privacy"], ["where"]])
def test_the_guide_and_where_need_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(command)
    with pytest.raises(SystemExit, match=f"error: {tmp_path}: expected a project in this folder"):
        main(["seed"])


def test_a_project_of_another_version_is_refused_or_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    major, minor, _ = map(int, __version__.split("+")[0].split("."))
    for version in (__version__, f"{major}.{minor}.99", f"{major}.{minor}.0+unreleased"):
        monkeypatch.chdir(write_project(tmp_path / version, version=version))
        assert check_version() == ""
    monkeypatch.chdir(write_project(tmp_path / "minor", version=f"{major}.{minor + 1}.0"))
    assert check_version().endswith(f", but {__version__} runs; run: make setup")
    monkeypatch.chdir(write_project(tmp_path / "major", version=f"{major + 1}.0.0"))
    with pytest.raises(ProjectError, match=f"expected a project of fednkit {major}, found one of"):
        check_version()


def test_a_project_keeps_its_things_at_fixed_places(tmp_path: Path) -> None:
    project = read_project(write_project(tmp_path, slug="my-model"))
    assert project.client == tmp_path / "client"
    assert project.archive == tmp_path / "my-model.tar.gz"
    assert project.seed == tmp_path / "seed.npz"
    assert project.data == tmp_path / "data"
    assert project.runs == tmp_path / "runs"


def test_a_pyproject_of_something_else_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_project(tmp_path / "project")
    other = root / "tool"
    other.mkdir()
    (other / "pyproject.toml").write_text('[project]\nname = "tool"\n')
    monkeypatch.chdir(other)
    assert current().root == root


def test_outside_of_a_project_the_working_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError) as error:
        current()
    assert str(error.value) == (
        f"{tmp_path}: expected a project in this folder or above it, with [tool.fednkit] in "
        "its pyproject.toml, found none; go into the project's folder"
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    write_project(tmp_path)
    file = tmp_path / "pyproject.toml"
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith(f"{name} =")))
    assert refusal(tmp_path) == f": expected {name} in [tool.fednkit], found none"


def test_an_entry_of_another_table_does_not_count(tmp_path: Path) -> None:
    root = edited(tmp_path, "[tool.ruff]\n", '[tool.other]\nextra = "text"\n')
    edited_file = root / "pyproject.toml"
    moved = edited_file.read_text("utf-8").replace('release = "0.1.0"\n', "")
    edited_file.write_text(moved.replace("[tool.other]\n", '[tool.other]\nrelease = "0.1.0"\n'))
    assert refusal(root) == ": expected release in [tool.fednkit], found none"


@pytest.mark.parametrize(
    "value",
    ["1", "true", "", "'single'", '["list"]', '"open', '"text" more', "2026-01-01", '{a = "b"}'],
)
def test_a_value_that_is_no_text_is_named_with_its_line(tmp_path: Path, value: str) -> None:
    root = edited(tmp_path, 'task = "fraud"', f"task = {value}")
    expected = f', line 3: expected task = "a text", found {f"task = {value}".strip()}'
    assert refusal(root) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        'She said "no"',
        '"',
        "C:\\models\\new",
        "\\",
        '\\"',
        "a # b = [c]",
        "[tool.ruff]",
        "Ærøskøbing, 北京",
        "a horse: \U0001f40e",
        "it's",
    ],
)
def test_texts_are_read_as_a_reader_of_toml_reads_them(tmp_path: Path, text: str) -> None:
    root = write_project(tmp_path, name=text, description=text)
    project = read_project(root)
    assert (project.name, project.description) == (text, text)
    record = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["fednkit"]
    assert {name: getattr(project, name) for name in NAMES} == record


@pytest.mark.parametrize(
    "line",
    [
        'task = "mnist" # by the template',
        'task="mnist"#by the template',
        '  task  =  "mnist"  ',
        '# the sample task\n\ntask = "mnist"',
    ],
)
def test_comments_and_blanks_change_nothing(tmp_path: Path, line: str) -> None:
    assert read_project(edited(tmp_path, 'task = "fraud"', line)).task == "mnist"


def test_the_tables_own_line_may_have_a_comment(tmp_path: Path) -> None:
    root = edited(tmp_path, "[tool.fednkit]", "[tool.fednkit] # what the command knows")
    assert read_project(root).task == "fraud"
