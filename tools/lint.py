"""Check style, types and imports: of this repository, and of what the template generates.

.venv/bin/python tools/lint.py
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from baking import FRAMEWORKS, ROOT, TASKS, bake

# Kept between runs. No cache may lie in the template's folder: cookiecutter would copy it.
BUILD = ROOT / "build" / "lint"
# Every file of a task and of a framework is in one of them.
VARIANTS = [(TASKS[number % len(TASKS)], framework) for number, framework in enumerate(FRAMEWORKS)]


def run(*command: str, folder: Path = ROOT) -> str:
    """Run a tool; return what it found, empty if that is nothing."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if result.returncode == 0 else result.stdout + result.stderr


def style(folder: Path = ROOT) -> str:
    """Return what is wrong with the style of a folder's Python."""
    return run("ruff", "check", "--no-cache", ".", folder=folder) + run(
        "ruff", "format", "--check", "--no-cache", ".", folder=folder
    )


def types() -> str:
    """Return what is wrong with the types of this repository's Python."""
    return run("mypy", "--cache-dir", str(BUILD / "cache"))


def imports() -> str:
    """Return which room of the library imports one that it must not know."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(
        [sys.executable, "-B", "-c", code, "--no-cache"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if result.returncode == 0 else result.stdout + result.stderr


def project(task: str, framework: str) -> str:
    """Return what is wrong with the style and the types of a generated project."""
    folder = BUILD / f"{task}-{framework}"
    shutil.rmtree(folder, ignore_errors=True)
    return wrong_in(bake(folder, hooks=False, task=task, framework=framework))


def wrong_in(baked: Path) -> str:
    """Return what is wrong with the style and the types of a project's folder."""
    return style(baked) + run("mypy", "--cache-dir", str(BUILD / "projects"), folder=baked)


CHECKS: dict[str, Callable[[], str]] = {
    "style": style,
    "types": types,
    "imports": imports,
    **{
        f"a project of {task} and {framework}": lambda t=task, f=framework: project(t, f)  # type: ignore[misc]
        for task, framework in VARIANTS
    },
}


if __name__ == "__main__":
    wrong = 0
    for name, check in CHECKS.items():
        found = check()
        print(f"{'wrong' if found else 'ok':<6}{name}")
        print(found, end="")
        wrong += bool(found)
    sys.exit(f"error: {wrong} to fix" if wrong else 0)
