"""Generate projects in this process, apart from the user's own cookiecutter settings."""

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parent.parent
CONTEXT: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text("utf-8"))
TASKS: list[str] = CONTEXT["task"]
FRAMEWORKS: list[str] = CONTEXT["framework"]
# What the fixture `project` gives: the project of a task and a framework.
Project = Callable[[str, str], Path]

COMBINATIONS = [(task, framework) for task in TASKS for framework in FRAMEWORKS]


def bake(output: Path, *, hooks: bool = True, **answers: str) -> Path:
    """Generate a project below `output` and return its folder."""
    output.mkdir(parents=True, exist_ok=True)
    config = output.parent / f"{output.name}.yaml"
    config.write_text(f"replay_dir: {output.parent}\ncookiecutters_dir: {output.parent}\n")
    with contextlib.redirect_stdout(io.StringIO()):
        project = cookiecutter(
            str(ROOT),
            no_input=True,
            extra_context=answers,
            output_dir=str(output),
            config_file=str(config),
            accept_hooks=hooks,
        )
    return Path(project)


def generate(
    output: Path, *options: str, before: Sequence[str] = (), **answers: str
) -> subprocess.CompletedProcess[str]:
    """Generate as a user does, in a process of its own; `before` is put before the command."""
    command = [*before, sys.executable, "-m", "cookiecutter", *(options or ["--no-input"])]
    command += ["-o", str(output), str(ROOT)]
    command += [f"{name}={answer}" for name, answer in answers.items()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
