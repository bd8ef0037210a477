"""Print the size of a generated project for each combination of task and framework.

.venv/bin/python tools/size.py
"""

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from baking import COMBINATIONS, bake, tree


class Size(NamedTuple):
    """The size of a project: files in git, lines of Python with tests, lines of the README."""

    files: int
    python: int
    readme: int


def size(project: Path) -> Size:
    """Return the size of a generated project, without its archive, which is not in git."""
    files = {name: text for name, text in tree(project).items() if not name.endswith(".tar.gz")}
    python = sum(text.count(b"\n") for name, text in files.items() if name.endswith(".py"))
    return Size(len(files), python, files["README.md"].count(b"\n"))


if __name__ == "__main__":
    print("| combination | files | lines of Python | lines of README |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for task, framework in COMBINATIONS:
            output = Path(folder) / f"{task}-{framework}"
            found = size(bake(output, hooks=False, task=task, framework=framework))
            print(f"| {task}, {framework} | {found.files} | {found.python} | {found.readme} |")
