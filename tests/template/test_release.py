"""A release gives template and library one version, and everything that follows from it."""

import subprocess
import sys
from pathlib import Path

import pytest
import release
from baking import ROOT
from installing import CAPTURED, check

# Generates every project anew.
pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a clone of what lies here, in which something is unreleased."""
    folder = tmp_path / "template"
    git = ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in names.stdout.decode().rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    changelog = folder / "CHANGELOG.md"
    text = changelog.read_text("utf-8")
    if release.UNRELEASED not in text:
        changelog.write_text(text.replace("\n## ", f"\n{release.UNRELEASED}\n- New.\n\n## ", 1))
        table = folder / "cookiecutter.json"
        version = release.version()
        lines = table.read_text("utf-8")
        table.write_text(lines.replace(f'"{version}"', f'"{version}+unreleased"'))
    check(subprocess.run([*git, "init", "--quiet"], cwd=folder, **CAPTURED))
    check(subprocess.run([*git, "add", "--all", "--force"], cwd=folder, **CAPTURED))
    check(subprocess.run([*git, "commit", "--quiet", "-m", "Now"], cwd=folder, **CAPTURED))
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.org")):
        check(subprocess.run(["git", "config", name, value], cwd=folder, **CAPTURED))
    return folder


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-B", "tools/release.py", *words]
    return subprocess.run(command, cwd=folder, **CAPTURED)


def test_a_release_renews_what_names_the_version(repository: Path) -> None:
    check(run(repository, "make", "99.0.0"))
    check(run(repository, "check", "v99.0.0"))
    vendor = repository / "{{cookiecutter.__slug}}" / "vendor"
    assert [path.name for path in vendor.glob("*.whl")] == ["fednkit-99.0.0-py3-none-any.whl"]
    # The library of a fresh project takes the project for one of its own.
    command = [sys.executable, "-B", "-m", "cookiecutter", "--no-input", "-o", "out", "."]
    check(subprocess.run(command, cwd=repository, **CAPTURED))
    project = repository / "out" / "fraud-detection"
    (wheel,) = (project / "vendor").glob("*.whl")
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); from fednkit.cli.main import main; "
    command = [sys.executable, "-I", "-S", "-B", "-c", f"{code}main(['package'])"]
    made = subprocess.run(command, cwd=project, **CAPTURED)
    assert (made.returncode, made.stderr) == (0, "")

    library = repository / release.LIBRARY
    library.write_text(library.read_text("utf-8").replace("99.0.0", "98.0.0"))
    refused = run(repository, "check", "v99.0.0")
    assert refused.returncode == 1
    assert refused.stderr == f"error: {release.LIBRARY}: expected 99.0.0, found 98.0.0\n"
