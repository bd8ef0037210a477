"""Compare the generation time of this template with that of an empty template.

The empty template has two empty hooks. Both run as whole processes in alternation, so that other
load on the machine affects both. Prints the medians and their difference.

    python benchmarks/generation.py [RUNS]
"""

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def floor_template(folder: Path) -> Path:
    """Write a template that generates one empty file and has two empty hooks."""
    project = folder / "{{cookiecutter.name}}"
    project.mkdir(parents=True)
    (project / "empty").touch()
    (folder / "cookiecutter.json").write_text(json.dumps({"name": "floor"}), encoding="utf-8")
    (folder / "hooks").mkdir()
    for hook in ("pre_gen_project.py", "post_gen_project.py"):
        (folder / "hooks" / hook).touch()
    return folder


def generate(template: Path) -> float:
    """Return the seconds that a generation takes."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", output, str(template)]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    """Print the medians of both templates and their difference."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as folder:
        floor = floor_template(Path(folder) / "floor")
        for template in (floor, ROOT):
            generate(template)
        pairs = [(generate(floor), generate(ROOT)) for _ in range(runs)]
    base, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    over = statistics.median(own - empty for empty, own in pairs)
    print(f"Python {platform.python_version()}, {platform.machine()}, {runs} pairs, medians")
    print(f"empty template  {base:.2f} s")
    print(f"this template   {ours:.2f} s, {over:.2f} s over the floor, {ours / base:.2f} times it")


if __name__ == "__main__":
    main()
