"""Projects of every release follow the template: what is new comes, their owners' edits stay."""

import json
from pathlib import Path

import pytest
import release
from baking import CONTEXT, ROOT, TASKS, bake
from updating import HEAD, RELEASES, Template, edit, here, of_the_project

from fednkit.project.config import read_project

# Not of the fast tier: with every release there is more to update.
pytestmark = pytest.mark.install
VENDOR = "{{cookiecutter.__slug}}/vendor"
HERE = CONTEXT["_version"]
NEXT = "99.0.0"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("template") / "template")


def recorded(project: Path) -> str:
    return read_project(project).version


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("version", RELEASES)
def test_an_edited_project_of_a_release_becomes_a_new_one_with_the_same_edits(
    template: Template, tmp_path: Path, version: str, task: str
) -> None:
    project = template.generate(tmp_path / "old", version, task=task, framework="numpy")
    assert recorded(project) == version.removeprefix("v")
    template.keep(project)
    edit(project, task)
    template.keep(project)
    printed = template.update(project)
    assert "conflict" not in printed
    assert template.conflicts(project) == []
    fresh = bake(tmp_path / "new", task=task, framework="numpy")
    edit(fresh, task)
    assert of_the_project(project) == of_the_project(fresh)
    assert recorded(project) == HERE


def test_from_release_to_release_the_edits_stay(template: Template, tmp_path: Path) -> None:
    project = template.generate(tmp_path / "old", RELEASES[0], framework="numpy")
    template.keep(project)
    edit(project, "fraud")
    for version in [*RELEASES[1:], HEAD]:
        template.keep(project)
        template.update(project, version)
        fresh = template.generate(tmp_path / version, version, framework="numpy")
        edit(fresh, "fraud")
        assert template.conflicts(project) == []
        assert of_the_project(project) == of_the_project(fresh)


def test_a_project_that_cruft_did_not_generate_can_be_linked(
    template: Template, tmp_path: Path
) -> None:
    first = template.generate(tmp_path / "old", RELEASES[0], framework="numpy")
    (first / ".cruft.json").unlink()
    template.keep(first)
    answers = json.dumps({"framework": "numpy"})
    options = "--no-input", "--checkout", f"v{recorded(first)}", "--extra-context", answers
    template.cruft(first, "link", *options, str(template.folder))
    template.keep(first)
    template.update(first)
    assert template.conflicts(first) == []
    fresh = bake(tmp_path / "new", framework="numpy")
    assert of_the_project(first) == of_the_project(fresh)


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A template that has gone on in the files that owners edit, in other lines than they do."""
    template = Template(tmp_path_factory.mktemp("later") / "template")
    files = here()
    for name, old, new in (
        ("cookiecutter.json", "polars==1.44.2", "polars==1.99.0"),
        ("templates/frameworks/numpy/classifier.py", "class Classifier:", "\nclass Classifier:"),
        ("templates/tasks/fraud/schema.json", "On a Saturday or Sunday", "On a weekend"),
        ("templates/locks/numpy-fraud.lock", "polars==1.44.2", "polars==1.99.0"),
    ):
        content = files[name].replace(old.encode(), new.encode())
        assert content != files[name]
        files[name] = content
    name = "{{cookiecutter.__slug}}/client/model/settings.py"
    files[name] += b"\n# The template goes on.\n"
    # A newer library comes as a file of another name.
    old, new = (f"{VENDOR}/fednkit-{number}-py3-none-any.whl" for number in (HERE, NEXT))
    files[new] = files.pop(old) + b"newer"
    name = f"{VENDOR}/requirements.txt"
    files[name] = files[name].replace(f"=={HERE} ".encode(), f"=={NEXT} ".encode())
    template.git(template.folder, "tag", "here")
    template.commit(files)
    return template


def test_changes_in_other_lines_of_an_edited_file_are_merged(
    later: Template, tmp_path: Path
) -> None:
    project = later.generate(tmp_path / "old", "here", framework="numpy")
    later.keep(project)
    edit(project, "fraud")
    later.keep(project)
    assert "conflict" not in later.update(project)
    assert [path.name for path in (project / "vendor").glob("*.whl")] == [
        f"fednkit-{NEXT}-py3-none-any.whl"
    ]
    fresh = later.generate(tmp_path / "new", HEAD, framework="numpy")
    edit(fresh, "fraud")
    assert later.conflicts(project) == []
    assert of_the_project(project) == of_the_project(fresh)


def test_what_both_changed_is_marked_in_that_file_and_all_else_is_updated(
    later: Template, tmp_path: Path
) -> None:
    project = later.generate(tmp_path / "old", "here", framework="numpy")
    later.keep(project)
    needs = project / "requirements.txt"
    own = needs.read_text("utf-8").replace("polars==1.44.2", "polars==1.50.0")
    needs.write_text(own, "utf-8", newline="\n")
    lock = project / "requirements.lock"
    own = lock.read_text("utf-8") + "# Ours.\n"
    lock.write_text(own, "utf-8", newline="\n")
    later.keep(project)
    untracked = ("fraud-detection.tar.gz", "seed.npz", "data/transactions.csv", ".env")
    (project / "data").mkdir()
    for name in untracked:
        (project / name).write_bytes(b"ours")

    later.update(project)
    assert later.conflicts(project) == ["requirements.lock", "requirements.txt"]
    merged = "<<<<<<< ours\npolars==1.50.0\n=======\npolars==1.99.0\n>>>>>>> theirs\n"
    assert merged in needs.read_text("utf-8")
    # Never mixed with another: `make lock` takes it from here.
    assert lock.read_text("utf-8") == own
    fresh = of_the_project(later.generate(tmp_path / "new", HEAD, framework="numpy"))
    updated = of_the_project(project)
    assert {name for name in fresh if fresh[name] != updated[name]} == {
        "requirements.lock",
        "requirements.txt",
    }
    for name in untracked:
        assert (project / name).read_bytes() == b"ours", name


def test_no_answer_and_no_choice_of_a_release_was_dropped() -> None:
    for version in RELEASES:
        files = release.unpacked(release.RELEASES / f"{version}.tar.xz")
        for name, default in json.loads(files["cookiecutter.json"]).items():
            if isinstance(default, list) and not name.startswith("_"):
                assert set(default) <= set(CONTEXT[name]), (version, name)
            elif not name.startswith("_"):
                assert name in CONTEXT, (version, name)


def test_the_version_is_that_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    # The first change after a release begins a section "Unreleased", and until the next one the
    # version ends in "+unreleased".
    assert release.expected_version(changelog) == HERE
    assert release.library_version() == HERE


def test_every_release_of_the_changelog_is_kept_and_says_its_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    told = [found["version"] for found in release.HEADING.finditer(changelog)]
    assert [f"v{version}" for version in reversed(told)] == RELEASES
    for version in RELEASES:
        files = release.unpacked(release.RELEASES / f"{version}.tar.xz")
        assert f"v{json.loads(files['cookiecutter.json'])['_version']}" == version
