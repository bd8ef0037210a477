"""A project is generated wherever a user is, and it is the same project."""

import os
import subprocess
from pathlib import Path

import pytest
from baking import ROOT, Project, generate, tree

ROOT_USER = os.geteuid() == 0
# Root needs no user namespace; everybody else has to be root in one.
UNSHARE = ["unshare", "--net"] if ROOT_USER else ["unshare", "--user", "--map-root-user", "--net"]


def refused(*command: str) -> str:
    """Return why a command cannot be used here; empty if it can."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"the command {command[0]} is missing (Debian: util-linux)"
    return result.stderr.strip()


def same(output: Path, project: Path) -> bool:
    """Tell whether a generated project is the one that the tests generate in this process."""
    [generated] = output.iterdir()
    return tree(generated) == tree(project)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, as a fresh machine has it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("COOKIECUTTER_CONFIG", raising=False)
    return folder


@pytest.mark.skipif(bool(refused(*UNSHARE, "true")), reason=refused(*UNSHARE, "true") or "-")
def test_without_a_network(tmp_path: Path, home: Path, project: Project) -> None:
    # Not even the loopback interface is up in there.
    result = generate(tmp_path / "out", before=UNSHARE)
    assert (result.returncode, result.stderr) == (0, "")
    assert same(tmp_path / "out", project("fraud", "keras"))


def test_without_git_and_without_an_identity(
    tmp_path: Path, home: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no programs").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "EMAIL", "USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    result = generate(tmp_path / "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert same(tmp_path / "out", project("fraud", "keras"))


MOUNT = ["unshare", "--mount", "sh", "-c"]


@pytest.fixture
def read_only(home: Path) -> list[str]:
    """A home that nobody can write to; returns what to put before a command."""
    if not ROOT_USER:
        home.chmod(0o555)
        return []
    # Root may write whatever the permissions say, but not to what is mounted without that.
    if why := refused(*MOUNT, "mount -t tmpfs none /mnt"):
        pytest.skip(why)
    script = 'mount --bind "$HOME" "$HOME" && mount -o remount,ro,bind "$HOME" && exec "$@"'
    return [*MOUNT, script, "sh"]


def test_in_a_read_only_home_with_another_home(
    tmp_path: Path, read_only: list[str], project: Project
) -> None:
    # Cookiecutter keeps the last answers in the home, and ends when it cannot.
    result = generate(tmp_path / "not", before=read_only)
    assert result.returncode == 1
    assert "OSError: Unable to create directory at" in result.stderr
    assert not (tmp_path / "not").exists()
    # As README says: HOME=$(mktemp -d) cookiecutter ...
    other = tmp_path / "another home"
    other.mkdir()
    result = generate(tmp_path / "out", before=[*read_only, "env", f"HOME={other}"])
    assert (result.returncode, result.stderr) == (0, "")
    assert same(tmp_path / "out", project("fraud", "keras"))


def test_the_hooks_write_inside_the_project_and_nowhere_else(
    tmp_path: Path, home: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    folders = [output, home, tmp_path / "temporary"]
    for folder in folders[::2]:
        folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folders[2]))
    # Where it can be had, all else is read-only: what tried to write there would fail.
    lines = [f"mount --bind '{folder}' '{folder}'" for folder in folders]
    script = " && ".join([*lines, "mount -o remount,ro,bind /", 'exec "$@"'])
    before = (
        [*MOUNT, script, "sh"] if ROOT_USER and not refused(*MOUNT, script, "sh", "true") else []
    )
    result = generate(output, before=before)
    assert (result.returncode, result.stderr) == (0, "")
    assert same(output, project("fraud", "keras"))
    # In the home are cookiecutter's own answers and nothing else; nothing is left in /tmp but the
    # rendered hooks, which cookiecutter leaves there.
    assert set(tree(home)) == {".cookiecutter_replay/repo.json".replace("repo", ROOT.name)}
    left = tree(folders[2])
    assert all(Path(name).suffix == ".py" for name in left), left
    assert {path.name for path in tmp_path.iterdir()} == {folder.name for folder in folders}


def test_in_an_ascii_locale_and_in_a_folder_with_blanks_and_accents(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    output = tmp_path / "my projéct folder"
    result = generate(output)
    assert (result.returncode, result.stderr) == (0, "")
    assert same(output, project("fraud", "keras"))
