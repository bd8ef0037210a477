"""Check the types of the template's Python where it lies, strictly and without rendering.

    .venv/bin/python -B tools/check_types.py

The generated project is checked by its own settings, with the files of a task and a framework in
place of the stubs that include them: as often as it takes for every task and every framework to
have its turn. Hooks, tests, tools and benchmarks are checked by the template's settings.
"""

import os
import re
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from baking import FRAMEWORKS, ROOT, TASKS

FOLDER = "{{cookiecutter.__slug}}"
STUB = re.compile(r'\{% include "(\w+)/" ~ cookiecutter\.(\w+) ~ "/([\w.]+)" -%\}\s*')
# Every task and every framework at least once.
VARIANTS = [
    (TASKS[number % len(TASKS)], FRAMEWORKS[number % len(FRAMEWORKS)])
    for number in range(max(len(TASKS), len(FRAMEWORKS)))
]
# Outside the generated project's folder, of which cookiecutter would take it for a part.
CACHES = ROOT / "build" / "mypy"


def included(task: str, framework: str) -> dict[str, str]:
    """Return what these answers include in each stub, both as paths below the template."""
    answers = {"task": task, "framework": framework}
    files = sorted((ROOT / FOLDER).rglob("*.py"))
    stubs = ((path, STUB.fullmatch(path.read_text("utf-8"))) for path in files)
    return {
        path.relative_to(ROOT).as_posix(): f"templates/{stub[1]}/{answers[stub[2]]}/{stub[3]}"
        for path, stub in stubs
        if stub
    }


def mypy(folder: str, instead: dict[str, str]) -> str:
    """Return what mypy finds with a folder's settings, naming files from the template's folder.

    instead: what takes which stub's place.
    """
    command = [sys.executable, "-B", "-m", "mypy", "--no-error-summary", "--no-pretty"]
    command += [
        "--hide-error-context",
        "--cache-dir",
        str(CACHES / ("own" if folder == "." else "project")),
    ]
    with tempfile.TemporaryDirectory() as copies:
        for number, (stub, file) in enumerate(instead.items()):
            content = (ROOT / file).read_bytes()
            copy = Path(copies) / f"{number}.py"
            copy.write_bytes(content)
            # mypy's cache tells two files in one place apart by their size and second alone.
            os.utime(copy, (zlib.crc32(content),) * 2)
            command += ["--shadow-file", os.path.relpath(ROOT / stub, ROOT / folder), str(copy)]
        found = subprocess.run(
            command,
            cwd=ROOT / folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if not found.returncode:
        return ""
    named = re.sub(r"^(?=\S)", "" if folder == "." else f"{folder}/", found.stdout, flags=re.M)
    for stub, file in instead.items():
        named = re.sub(f"^{re.escape(stub)}(?=:)", file, named, flags=re.M)
    return named or f"mypy ended with {found.returncode}\n"


def wrong() -> list[str]:
    """Return what is wrong anywhere, each line once."""
    with ThreadPoolExecutor() as pool:
        # The benchmarks use a generated project's library: any will do.
        own = pool.submit(mypy, ".", included(*VARIANTS[0]))
        # In turn, on one cache: most files are the same in every variant.
        texts = [mypy(FOLDER, included(*variant)) for variant in VARIANTS]
        texts.append(own.result())
    return list(dict.fromkeys(line for text in texts for line in text.splitlines()))


if __name__ == "__main__":
    lines = wrong()
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(1 if lines else 0)
