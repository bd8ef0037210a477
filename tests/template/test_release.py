"""A release gives template and library one version, and everything that follows from it."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import release
from baking import ROOT
from installing import CAPTURED, check

# Generates every project anew.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone of the repository"),
]
# Each knows the version from another place.
TESTS = (
    "tests/template/test_updates.py::test_the_version_is_that_of_the_changelog",
    "tests/template/test_updates.py::test_every_release_of_the_changelog_is_kept_and_says_its_version",
    "tests/template/test_updates.py::test_changes_in_other_lines_of_an_edited_file_are_merged",
    "tests/template/test_golden.py",
    "tests/template/test_bake.py::test_exactly_these_files_are_generated",
    "tests/template/test_house.py::test_the_wheel_in_every_project_is_made_of_these_sources",
    "tests/fednkit/project/test_config.py",
)
MAJOR, MINOR, _ = release.numbers(release.version())


class Repository:
    """A clone of what lies here, committed or not, in which something is unreleased."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vendor = folder / "{{cookiecutter.__slug}}" / "vendor"
        listed = "ls-files", "-z", "--cached", "--others", "--exclude-standard"
        for name in release.git(*listed).rstrip("\0").split("\0"):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((ROOT / name).read_bytes())
        self.run("git", "init", "--quiet")
        self.commit()
        if release.UNRELEASED not in (folder / "CHANGELOG.md").read_text("utf-8"):
            self.begin()

    def run(
        self, *command: str | Path, path: Path | None = None, folder: Path | None = None
    ) -> str:
        """Run a program, which must succeed and have nothing to warn of."""
        result = self.attempt(*command, path=path, folder=folder)
        assert result.stderr == "" or result.returncode, result.stderr
        return check(result)

    def attempt(
        self, *command: str | Path, path: Path | None = None, folder: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program; `python` is this one, and imports from a path before all others."""
        program = [sys.executable, "-B"] if command[0] == "python" else [command[0]]
        return subprocess.run(
            [*program, *command[1:]],
            cwd=folder or self.folder,
            env=os.environ | ({"PYTHONPATH": str(path)} if path else {}),
            **CAPTURED,
        )

    def release(self, *words: str) -> str:
        """Run the tool that makes releases."""
        return self.run("python", "tools/release.py", *words)

    def refusal(self, *words: str) -> str:
        """Run the tool that makes releases, which must refuse, and return why."""
        result = self.attempt("python", "tools/release.py", *words)
        assert (result.returncode, result.stdout) == (1, "")
        return result.stderr.removeprefix("error: ").rstrip("\n")

    def commit(self) -> None:
        """Commit all that changed."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "Next")

    def begin(self) -> None:
        """Begin the next release with something that is new."""
        self.release("begin")
        changelog = self.folder / "CHANGELOG.md"
        text = changelog.read_text("utf-8")
        changelog.write_text(
            text.replace(release.UNRELEASED, f"{release.UNRELEASED}\n- New.\n"), "utf-8"
        )
        self.commit()

    def hold_to(self, version: str) -> None:
        """Hold everything to one version: files, tests, and the library of a fresh project."""
        name = f"fednkit-{version}-py3-none-any.whl"
        assert [path.name for path in self.vendor.glob("*.whl")] == [name]
        digest = hashlib.sha256((self.vendor / name).read_bytes()).hexdigest()
        wanted = f"fednkit=={version} \\\n    --hash=sha256:{digest}\n"
        assert (self.vendor / "requirements.txt").read_text("utf-8").endswith(wanted)
        pytest = "python", "-m", "pytest", "-p", "no:cacheprovider"
        self.run(*pytest, *TESTS, path=self.folder / "src")
        assert self.run("git", "status", "--porcelain") == ""

        output = self.folder.parent / f"of {version}"
        generate = "-m", "cookiecutter", "--no-input", "-o", output, self.folder
        self.run("python", *generate)
        project = output / "fraud-detection"
        record = (project / "pyproject.toml").read_text("utf-8")
        assert f'\nversion = "{version}" #' in record
        wheel = project / "vendor" / name
        fednkit = "python", "-S", "-m", "fednkit"
        assert self.run(*fednkit, "--version", path=wheel) == f"fednkit {version}\n"
        # Without a warning: it takes the project for one of its own.
        self.run(*fednkit, "package", path=wheel, folder=project)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    # Neither an identity nor the user's settings: of git, and of cookiecutter.
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"replay_dir: {tmp_path}\ncookiecutters_dir: {tmp_path}\n")
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(settings))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.org")
    return Repository(tmp_path / "template")


def test_releases_renew_all_that_names_the_version(repository: Repository) -> None:
    minor, major = f"{MAJOR}.{MINOR + 1}.0", f"{MAJOR + 1}.0.0"
    repository.release("make", minor)
    repository.release("check", f"v{minor}")
    assert repository.release("notes").endswith("- New.\n")
    repository.hold_to(minor)
    repository.begin()
    repository.hold_to(f"{minor}+unreleased")
    repository.release("make", major)
    repository.release("check", f"v{major}")
    repository.hold_to(major)
    assert repository.run("git", "tag").split() == [f"v{minor}", f"v{major}"]


def change(name: str, old: str, new: str) -> Callable[[Repository], None]:
    def changed(repository: Repository) -> None:
        path = repository.folder / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    return changed


def lengthen_the_wheel(repository: Repository) -> None:
    (wheel,) = repository.vendor.glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"\0")


def add_a_wheel(repository: Repository) -> None:
    (wheel,) = repository.vendor.glob("*.whl")
    wheel.with_name("fednkit-98.0.0-py3-none-any.whl").write_bytes(wheel.read_bytes())


def test_a_tag_that_does_not_say_what_is_there_is_refused(repository: Repository) -> None:
    vendor = release.VENDOR
    table = (repository.folder / "cookiecutter.json").read_text("utf-8")
    before = json.loads(table)["_version"]
    for words, expected in (
        (("make", "99.0"), "VERSION: expected three numbers such as 1.2.3, found '99.0'"),
        (("make", "0.0.1"), f"VERSION: expected a version after {before}, found 0.0.1"),
        (("begin",), "CHANGELOG.md: expected no section 'Unreleased' yet, found one"),
    ):  # fmt: skip
        assert repository.refusal(*words) == expected
    repository.release("make", "99.0.0")
    for break_it, expected in (
        (change("CHANGELOG.md", "## 99.0.0", "## 98.0.0"),
         "CHANGELOG.md: expected 99.0.0, found 98.0.0"),
        (change("cookiecutter.json", '"99.0.0"', '"98.0.0"'),
         "_version: expected 99.0.0, found 98.0.0"),
        (change(release.LIBRARY, '"99.0.0"', '"98.0.0"'),
         f"{release.LIBRARY}: expected 99.0.0, found 98.0.0"),
        (add_a_wheel, f"{vendor}: expected 99.0.0, found 98.0.0, 99.0.0"),
        (lengthen_the_wheel, f"{vendor}/requirements.txt: expected the hash of "
                             "fednkit-99.0.0-py3-none-any.whl, found another"),
        (change("src/fednsite/errors.py", '"""', '"""Other. '),
         f"{vendor}/fednkit-99.0.0-py3-none-any.whl was built from another src/ than this "
         "checkout's"),
        (change("hooks/post_gen_project.py", '"""', '"""Other. '),
         "tests/releases/v99.0.0.tar.xz holds other sources than this checkout"),
    ):  # fmt: skip
        break_it(repository)
        assert repository.refusal("check", "v99.0.0") == expected
        repository.run("git", "restore", ".")
        repository.run("git", "clean", "--quiet", "--force")
    repository.release("check", "v99.0.0")
    repository.release("begin")
    repository.commit()
    assert repository.refusal("make", "99.1.0") == (
        "CHANGELOG.md: expected changes under 'Unreleased', found nothing"
    )
