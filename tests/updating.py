"""Projects that follow the template: its releases as a git repository, and an owner's edits.

The repository is made of the releases that tests/releases/ keeps and of the sources as they lie
here, so that it is the same on every checkout, a shallow one and one without tags too.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import release
from baking import ROOT, tree
from installing import CAPTURED, check

RELEASES = [
    path.name.removesuffix(".tar.xz")
    for path in sorted(
        release.RELEASES.glob("v*.tar.xz"),
        key=lambda path: release.numbers(path.name.removesuffix(".tar.xz").removeprefix("v")),
    )
]
HEAD = "main"

# What an owner changes first, as (file, what stood there, what stands there now).
EDITS = [
    ("client/model/classifier.py", "64", "48"),
    ("client/model/settings.py", "epochs: int = 3", "epochs: int = 4"),
    ("client/model/metrics.py", '"""', '"""Ours: '),
    ("client/model/schema.json", '"title": "', '"title": "Ours: '),
]
EDITS_OF_TASK = {
    "fraud": [
        ("client/model/schema.json", '"maximum": 100000', '"maximum": 250000'),
        (
            "client/model/data.py",
            "own: list[Array] = [\n",
            'own: list[Array] = [\n        np.log1p(table["amount"]),\n',
        ),
    ],
    "mnist": [],
}
# One that the lock holds anyway, so that nothing else is installed.
REQUIREMENT = "packaging==26.3\n"


class Template:
    """The template as a git repository with a tag for each release; what lies here comes last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        # Neither an identity nor the user's settings: of git, and of cookiecutter.
        settings = folder.parent / "settings.yaml"
        settings.write_text(f"replay_dir: {folder.parent}\ncookiecutters_dir: {folder.parent}\n")
        self.environment = os.environ | {
            **{f"GIT_{who}_NAME": "Somebody" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "somebody@example.org" for who in ("AUTHOR", "COMMITTER")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "COOKIECUTTER_CONFIG": str(settings),
        }
        self.git(folder, "init", "--quiet", "--initial-branch", HEAD)
        for name in RELEASES:
            self.commit(release.unpacked(release.RELEASES / f"{name}.tar.xz"))
            self.git(folder, "tag", name)
        self.commit(here())

    def git(self, folder: Path, *arguments: str) -> str:
        """Run git, which must succeed, and return what it printed."""
        command = ["git", *arguments]
        return check(subprocess.run(command, cwd=folder, env=self.environment, **CAPTURED))

    def cruft(self, folder: Path, *arguments: str) -> str:
        """Run cruft, which must succeed, and return all that it printed."""
        command = [sys.executable, "-m", "cruft", *arguments]
        result = subprocess.run(command, cwd=folder, env=self.environment, **CAPTURED)
        return f"{check(result)}{result.stderr}"

    def commit(self, files: dict[str, bytes]) -> None:
        """Make files the newest state of the template."""
        for path in self.folder.iterdir():
            if path.is_dir() and path.name != ".git":
                shutil.rmtree(path)
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.git(self.folder, "add", "--all", "--force")
        self.git(self.folder, "commit", "--quiet", "--allow-empty", "--message", "Next")

    def generate(self, output: Path, version: str, **answers: str) -> Path:
        """Generate a project with cruft."""
        output.mkdir(parents=True)
        context = json.dumps(answers)
        options = "--no-input", "--checkout", version, "--extra-context", context
        self.cruft(output, "create", *options, str(self.folder))
        return output / answers.get("project_slug", "fraud-detection")

    def keep(self, project: Path) -> None:
        """Commit all that lies in a project, which becomes a git repository if it is none."""
        self.git(project, "init", "--quiet", "--initial-branch", "main")
        self.git(project, "add", "--all")
        self.git(project, "commit", "--quiet", "--message", "What we have")

    def update(self, project: Path, version: str = HEAD) -> str:
        """Bring a project to another version, and return what was printed."""
        return self.cruft(project, "update", "--skip-apply-ask", "--checkout", version)

    def conflicts(self, project: Path) -> list[str]:
        """Return the files of a project that a merge could not settle, and rejected hunks."""
        unmerged = self.git(project, "diff", "--name-only", "--diff-filter=U").splitlines()
        return unmerged + [path.name for path in project.rglob("*.rej")]


def here() -> dict[str, bytes]:
    """Return the sources of the template as they lie in this checkout."""
    files = {"cookiecutter.json": (ROOT / "cookiecutter.json").read_bytes()}
    for folder in release.SOURCES[1:]:
        files |= {f"{folder}/{name}": content for name, content in tree(ROOT / folder).items()}
    return {name: content for name, content in files.items() if "__pycache__" not in name}


def edit(project: Path, task: str) -> None:
    """Do to a project what its owner does: own model, settings, data, requirement, and files."""
    for name, old, new in EDITS + EDITS_OF_TASK[task]:
        path = project / name
        text = path.read_text("utf-8")
        assert old in text, (name, old)
        path.write_text(text.replace(old, new, 1), "utf-8", newline="\n")
    with (project / "requirements.txt").open("a", encoding="utf-8", newline="\n") as file:
        file.write(REQUIREMENT)
    (project / "client" / "model" / "ours.py").write_text('"""Ours."""\n', newline="\n")
    (project / "SECURITY.md").unlink()


def of_the_project(project: Path) -> dict[str, bytes]:
    """Return a project's files without what git, cruft and the build keep there."""
    own = {".git", ".cruft.json", "fraud-detection.tar.gz"}
    return {name: file for name, file in tree(project).items() if name.split("/")[0] not in own}
