"""Check style, types and imports of this repository and of generated projects.

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

# Caches are kept here, because cookiecutter would copy them from the template's folder.
BUILD = ROOT / "build" / "lint"
# Together, these projects contain every file of every task and framework.
VARIANTS = [(TASKS[number % len(TASKS)], framework) for number, framework in enumerate(FRAMEWORKS)]


def run(*command: str, folder: Path = ROOT) -> str:
    """Run a tool; return its output if it fails, else ""."""
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
    """Return the style errors in a folder's Python files."""
    return run("ruff", "check", "--no-cache", ".", folder=folder) + run(
        "ruff", "format", "--check", "--no-cache", ".", folder=folder
    )


def types() -> str:
    """Return the type errors in this repository's Python files."""
    return run("mypy", "--cache-dir", str(BUILD / "cache"))


def imports() -> str:
    """Return the forbidden imports between rooms of the library."""
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
    """Generate a project and return its style and type errors."""
    folder = BUILD / f"{task}-{framework}"
    shutil.rmtree(folder, ignore_errors=True)
    return wrong_in(bake(folder, hooks=False, task=task, framework=framework))


def wrong_in(baked: Path) -> str:
    """Return the style and type errors in a project's folder."""
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
