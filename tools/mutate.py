"""Test the tests by mutation: change the template in one place at a time; some test must fail.

    .venv/bin/python tools/mutate.py [--only TEXT] [--list] [--golden-last]

Prints the mutants that no test detects, and exits with code 1 if there are any. The golden files
detect every change of the output within seconds, so they run first. With --golden-last they run
last, and mutants that only they detect are printed too, which takes three times as long. If
build/venvs/numpy exists, a generated project's tests of its model library run too.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from baking import ROOT

TREE = "{{cookiecutter.__slug}}"
TESTS = "tests/template"
# These detect the most mutants, so they run first; the others follow in alphabetical order.
FIRST_TESTS = ["test_jinja.py", "test_bake.py", "test_lock.py", "test_answers.py"]
GOLDEN = "test_golden.py"
# Slow, and detect nothing that the others miss.
SKIPPED_TESTS = {"test_surroundings.py", "test_properties.py", "test_make.py", "test_updates.py"}
PROJECT_PYTHON = ROOT / "build" / "venvs" / "numpy" / "bin" / "python"


class Mutant(NamedTuple):
    """A changed file of the template; without content, the file is deleted."""

    what: str
    file: str
    content: str | None


def mutants() -> Iterator[Mutant]:
    """Yield all mutants."""
    listed = ["git", "ls-files", "-z", TREE, "templates", "hooks", "cookiecutter.json"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.rstrip("\0").split("\0"):
        yield Mutant("gone", name, None)
        if name.endswith((".whl", "%}")) or name.startswith("templates/locks/"):
            continue
        text = (ROOT / name).read_text("utf-8")
        yield from of_jinja(name, text)
        if name == "cookiecutter.json" or re.match(r"templates/.*\.json$", name):
            yield from of_json(name, text)
        if name.startswith("hooks/"):
            yield from of_python(name, text)
        if name == "cookiecutter.json" or "requirements" in name:
            yield from of_pins(name, text)


def replaced(what: str, name: str, text: str, found: re.Match[str], new: str) -> Mutant:
    """Return a mutant in which `new` replaces the match."""
    line = text[: found.start()].count("\n") + 1
    where = f"line {line}: {what}: {found[0].strip()}"
    return Mutant(where, name, text[: found.start()] + new + text[found.end() :])


def of_jinja(name: str, text: str) -> Iterator[Mutant]:
    """Yield mutants that drop an include or a value, or negate a condition."""
    if "{%" not in text + name and "{{ cookiecutter" not in text:
        return
    for found in re.finditer(r"\{%-? include .*?%\}\n?", text):
        yield replaced("dropped", name, text, found, "")
    for found in re.finditer(r"\{\{ .*?\}\}", text):
        if not name.startswith("hooks/") and name != "cookiecutter.json":
            yield replaced("dropped", name, text, found, "")
    for found in re.finditer(r"(\{%-? (?:el)?if )(.*?)( -?%\})", text):
        new = f"{found[1]}not ({found[2]}){found[3]}"
        yield replaced("negated", name, text, found, new)


def of_json(name: str, text: str) -> Iterator[Mutant]:
    """Yield mutants that lack one entry, at any depth."""

    def entries(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield (*path, key)
            if isinstance(inner, (dict, list)):
                yield from entries(inner, (*path, key))

    for path in entries(json.loads(text), ()):
        changed = json.loads(text)
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        del parent[path[-1]]
        content = json.dumps(changed, indent=2, ensure_ascii=False) + "\n"
        yield Mutant(f"lost: {'.'.join(map(str, path))}", name, content)


def of_pins(name: str, text: str) -> Iterator[Mutant]:
    """Yield mutants with another last number in a pinned version."""
    for found in re.finditer(r"==[\d.]*?(\d+)(?=[\";,\n])", text):
        new = found[0][: -len(found[1])] + str(int(found[1]) + 1)
        yield replaced("swapped", name, text, found, new)


def of_python(name: str, text: str) -> Iterator[Mutant]:
    """Yield mutants that drop a statement or negate a condition."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.If):
            test = ast.get_source_segment(text, node.test)
            start = re.search(re.escape(f"if {test}:"), text)
            if start:
                yield replaced("negated", name, text, start, f"if not ({test}):")
        if not isinstance(node, (ast.Expr, ast.Assign)) or is_docstring(node):
            continue
        kept = [*lines]
        end = node.end_lineno or node.lineno
        kept[node.lineno - 1 : end] = [f"{' ' * node.col_offset}pass\n"]
        what = lines[node.lineno - 1].strip()
        yield Mutant(f"line {node.lineno}: dropped: {what}", name, "".join(kept))


def is_docstring(node: ast.stmt) -> bool:
    """Return whether a statement is only a string."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def copy(folder: Path) -> None:
    """Copy the repository's files in git to a folder."""
    listed = ["git", "ls-files", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def detected(folder: Path) -> bool:
    """Return whether a test other than that of the golden files fails in a copy."""
    tests = {path.name for path in (folder / TESTS).glob("test_*.py")} - SKIPPED_TESTS
    if fails(folder, *FIRST_TESTS, *sorted(tests - {*FIRST_TESTS, GOLDEN})):
        return True
    return PROJECT_PYTHON.exists() and any(
        project_tests_fail(folder, task) for task in json_of(folder)["task"]
    )


def fails(folder: Path, *names: str) -> bool:
    """Return whether one of these tests fails in a copy."""
    python = [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider"]
    return run([*python, *(f"{TESTS}/{name}" for name in names)], folder, folder)


def json_of(folder: Path) -> dict[str, Any]:
    """Return the copy's cookiecutter.json."""
    table: dict[str, Any] = json.loads((folder / "cookiecutter.json").read_text("utf-8"))
    return table


def project_tests_fail(folder: Path, task: str) -> bool:
    """Return whether a generated project's tests of its model library fail."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-B", "-m", "cookiecutter", "--no-input", "-o", temporary, "."]
        if run([*command, f"task={task}", "framework=numpy"], folder, folder):
            return True
        [project] = Path(temporary).iterdir()
        own = [str(PROJECT_PYTHON), "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider"]
        files = ["tests/test_data.py", "tests/test_metrics.py", "tests/test_conformance.py"]
        return run([*own, *files, "-k", "not test_package"], project, folder)


def run(command: list[str], cwd: Path, home: Path) -> bool:
    """Return whether a command fails."""
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(home.parent)}
    return (
        subprocess.run(command, cwd=cwd, capture_output=True, check=False, env=env).returncode != 0
    )


def main() -> int:
    """Test all mutants, two at a time; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="only mutants whose description has this text")
    parser.add_argument("--list", action="store_true", help="list the mutants and exit")
    parser.add_argument("--golden-last", action="store_true", help="run all other tests first")
    options = parser.parse_args()
    chosen = [one for one in mutants() if options.only in f"{one.file}: {one.what}"]
    if options.list:
        print(*(f"{one.file}: {one.what}" for one in chosen), sep="\n")
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        free: Queue[Path] = Queue()
        for number in range(2):
            folder = Path(temporary) / str(number) / "template"
            copy(folder)
            free.put(folder)
        if detected(folder) or fails(folder, GOLDEN):
            print("error: expected the tests to pass without a mutant, found a failure")
            return 1

        def result_of(mutant: Mutant) -> str:
            folder = free.get()
            file = folder / mutant.file
            before = file.read_bytes()
            try:
                if mutant.content is None:
                    file.unlink()
                else:
                    file.write_text(mutant.content, "utf-8")
                if not options.golden_last and fails(folder, GOLDEN):
                    return "golden"
                if detected(folder):
                    return ""
                return "golden only" if fails(folder, GOLDEN) else "survives"
            finally:
                file.write_bytes(before)
                free.put(folder)

        results = Counter[str]()
        with ThreadPoolExecutor(2) as pool:
            for mutant, result in zip(chosen, pool.map(result_of, chosen), strict=True):
                results[result] += 1
                if result not in ("", "golden"):
                    print(f"{result}: {mutant.file}: {mutant.what}", flush=True)
    minutes = (time.monotonic() - started) / 60
    golden = results["golden"] + results["golden only"]
    print(f"{len(chosen)} mutants in {minutes:.0f} minutes, detected by")
    print(f"  the golden files {golden}", end="")
    print(f", {results['golden only']} of them by no other test" if options.golden_last else "")
    print(f"  other tests {results['']}")
    print(f"  none {results['survives']}")
    return 1 if results["survives"] else 0


if __name__ == "__main__":
    sys.exit(main())
