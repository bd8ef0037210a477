"""Break the template in every systematic way, one at a time: some test must fail each time.

    .venv/bin/python tools/mutate.py [--only TEXT] [--list] [--golden-last]

Prints the mutants that no test notices, and ends with 1 if there are any. The golden files notice
every change of the output by construction, in seconds, so they are asked first. With --golden-last
they are asked last, and what they alone notice is printed, too: that takes three times as long.
Where build/venvs/numpy is set up, a project's own tests of its model library are asked, too.
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
# Those that notice most come first. The others come last, by the alphabet.
FIRST = ["test_jinja.py", "test_bake.py", "test_lock.py", "test_answers.py"]
GOLDEN = "test_golden.py"
# They take long, and notice what the others notice.
LEFT_OUT = {"test_surroundings.py", "test_properties.py", "test_make.py", "test_updates.py"}
OWN = ROOT / "build" / "venvs" / "numpy" / "bin" / "python"


class Mutant(NamedTuple):
    """A file of the template with other content, or without any: then it is gone."""

    what: str
    file: str
    content: str | None


def mutants() -> Iterator[Mutant]:
    """Yield every mutant there is."""
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
    """Return a mutant with something else in the place of what was found."""
    line = text[: found.start()].count("\n") + 1
    where = f"line {line}: {what}: {found[0].strip()}"
    return Mutant(where, name, text[: found.start()] + new + text[found.end() :])


def of_jinja(name: str, text: str) -> Iterator[Mutant]:
    """Drop each include and each value, turn each condition round."""
    if "{%" not in text + name and "{{ cookiecutter" not in text:
        return
    for found in re.finditer(r"\{%-? include .*?%\}\n?", text):
        yield replaced("dropped", name, text, found, "")
    for found in re.finditer(r"\{\{ .*?\}\}", text):
        if not name.startswith("hooks/") and name != "cookiecutter.json":
            yield replaced("dropped", name, text, found, "")
    for found in re.finditer(r"(\{%-? (?:el)?if )(.*?)( -?%\})", text):
        new = f"{found[1]}not ({found[2]}){found[3]}"
        yield replaced("turned round", name, text, found, new)


def of_json(name: str, text: str) -> Iterator[Mutant]:
    """Lose each entry, of whatever depth."""

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
    """Swap the last number of each pinned version."""
    for found in re.finditer(r"==[\d.]*?(\d+)(?=[\";,\n])", text):
        new = found[0][: -len(found[1])] + str(int(found[1]) + 1)
        yield replaced("swapped", name, text, found, new)


def of_python(name: str, text: str) -> Iterator[Mutant]:
    """Drop each statement, turn each condition round."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.If):
            test = ast.get_source_segment(text, node.test)
            start = re.search(re.escape(f"if {test}:"), text)
            if start:
                yield replaced("turned round", name, text, start, f"if not ({test}):")
        if not isinstance(node, (ast.Expr, ast.Assign)) or is_docstring(node):
            continue
        kept = [*lines]
        end = node.end_lineno or node.lineno
        kept[node.lineno - 1 : end] = [f"{' ' * node.col_offset}pass\n"]
        what = lines[node.lineno - 1].strip()
        yield Mutant(f"line {node.lineno}: dropped: {what}", name, "".join(kept))


def is_docstring(node: ast.stmt) -> bool:
    """Tell whether a statement is a text only."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def copy(folder: Path) -> None:
    """Copy what the tests need of the repository."""
    listed = ["git", "ls-files", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def noticed(folder: Path) -> bool:
    """Tell whether a test other than that of the golden files fails in a copy."""
    tests = {path.name for path in (folder / TESTS).glob("test_*.py")} - LEFT_OUT
    if fails(folder, *FIRST, *sorted(tests - {*FIRST, GOLDEN})):
        return True
    return OWN.exists() and any(owns_notice(folder, task) for task in json_of(folder)["task"])


def fails(folder: Path, *names: str) -> bool:
    """Tell whether one of these tests fails in a copy."""
    python = [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider"]
    return run([*python, *(f"{TESTS}/{name}" for name in names)], folder, folder)


def json_of(folder: Path) -> dict[str, Any]:
    """Return the copy's cookiecutter.json."""
    table: dict[str, Any] = json.loads((folder / "cookiecutter.json").read_text("utf-8"))
    return table


def owns_notice(folder: Path, task: str) -> bool:
    """Tell whether one of a generated project's own tests of its model library fails."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-B", "-m", "cookiecutter", "--no-input", "-o", temporary, "."]
        if run([*command, f"task={task}", "framework=numpy"], folder, folder):
            return True
        [project] = Path(temporary).iterdir()
        own = [str(OWN), "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider"]
        files = ["tests/test_data.py", "tests/test_metrics.py", "tests/test_conformance.py"]
        return run([*own, *files, "-k", "not test_package"], project, folder)


def run(command: list[str], cwd: Path, home: Path) -> bool:
    """Tell whether a command fails."""
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(home.parent)}
    return (
        subprocess.run(command, cwd=cwd, capture_output=True, check=False, env=env).returncode != 0
    )


def main() -> int:
    """Try all mutants, two at a time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="mutants whose words hold this")
    parser.add_argument("--list", action="store_true", help="list them, and try none")
    parser.add_argument("--golden-last", action="store_true", help="ask all other tests first")
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
        if noticed(folder) or fails(folder, GOLDEN):
            print("error: expected tests that pass, found that they fail without any mutant")
            return 1

        def fate(mutant: Mutant) -> str:
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
                if noticed(folder):
                    return ""
                return "golden only" if fails(folder, GOLDEN) else "survives"
            finally:
                file.write_bytes(before)
                free.put(folder)

        fates = Counter[str]()
        with ThreadPoolExecutor(2) as pool:
            for mutant, became in zip(chosen, pool.map(fate, chosen), strict=True):
                fates[became] += 1
                if became not in ("", "golden"):
                    print(f"{became}: {mutant.file}: {mutant.what}", flush=True)
    minutes = (time.monotonic() - started) / 60
    golden = fates["golden"] + fates["golden only"]
    print(f"{len(chosen)} mutants in {minutes:.0f} minutes, noticed by")
    print(f"  the golden files {golden}", end="")
    print(f", {fates['golden only']} of them by no other test" if options.golden_last else "")
    print(f"  other tests {fates['']}")
    print(f"  none {fates['survives']}")
    return 1 if fates["survives"] else 0


if __name__ == "__main__":
    sys.exit(main())
