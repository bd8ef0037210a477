"""Shared code of the benchmarks: projects, alternating runs, tables, JSON, the machine."""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "bench"
FRAMEWORKS: list[str] = json.loads((ROOT / "cookiecutter.json").read_text("utf-8"))["framework"]
Result = TypeVar("Result")


def options(description: str, runs: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--frameworks", type=lambda text: text.split(","), default=FRAMEWORKS, metavar="A,B"
    )
    parser.add_argument("--runs", type=int, default=runs, help=f"number of runs ({runs})")
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")
    return parser


class Project:
    """A generated project with its environment, two sites and a seed model.

    There is one environment per framework in build/venvs; `make setup` updates it. BENCH_VENVS
    names another folder of environments, which are not updated.
    """

    def __init__(self, output: Path, framework: str, task: str = "fraud") -> None:
        command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", str(output)]
        run([*command, str(ROOT), f"framework={framework}", f"task={task}", "project_slug=bench"])
        self.framework = framework
        self.folder = output / "bench"
        self.client = self.folder / "client"
        self.seed = self.folder / "seed.npz"
        ready = os.environ.get("BENCH_VENVS")
        self.venv = Path(ready or ROOT / "build" / "venvs").resolve() / framework
        self.python = self.venv / "bin" / "python"
        if not ready:
            make = ["make", "-C", str(self.folder), "setup"]
            run([*make, f"VENV={self.venv}", f"PYTHON={sys.executable}"])
        for tool in ("sites", "seed"):
            run([self.python, "-m", "fednkit", tool], cwd=self.folder)

    def unpack(self) -> Path:
        """Build the archive and unpack it as a site does; return the new folder."""
        run([self.python, "-m", "fednkit", "package"], cwd=self.folder)
        package = self.folder / "package"
        shutil.unpack_archive(self.folder / "bench.tar.gz", package, "gztar")
        return package


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; exit after one minute."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"error: expected {what} within a minute, found none")
        time.sleep(0.01)


def run(command: Sequence[str | Path], **options: Any) -> str:
    """Run a command and return its output; exit if it fails."""
    result: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, **options
    )
    if result.returncode:
        words = " ".join(map(str, command))
        raise SystemExit(f"error: {words}\n{result.stdout}{result.stderr}")
    return result.stdout


def seconds(command: Sequence[str | Path], **options: Any) -> float:
    """Return the wall time of a process in seconds; exit if it fails.

    It uses no pipes, whose cost would count in a process of ten milliseconds.
    """
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        code = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, **options).wait()
        took = time.perf_counter() - start
        if code:
            errors.seek(0)
            words = " ".join(map(str, command))
            raise SystemExit(f"error: {words}\n{errors.read().decode(errors='replace')}")
    return took


def in_turn(
    cases: Mapping[str, Callable[[], Result]], runs: int, warm_up: int = 1
) -> dict[str, list[Result]]:
    """Measure the cases in alternation, so that other load on the machine affects all alike.

    Args:
        cases: The function of each case by name.
        runs: The number of turns.
        warm_up: The number of additional first turns, whose results are dropped.
    """
    measured: dict[str, list[Result]] = {name: [] for name in cases}
    for turn in range(warm_up + runs):
        for name, measure in cases.items():
            result = measure()
            if turn >= warm_up:
                measured[name].append(result)
        progress(f"turn {turn + 1} of {warm_up + runs}")
    progress("")
    return measured


def medians(measured: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of each case."""
    return {name: statistics.median(values) for name, values in measured.items()}


def progress(line: str) -> None:
    """Show the progress of a long measurement on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Return a description of the machine, to record with the results."""
    model = platform.processor() or platform.machine()
    cpus, memory = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpus.exists():
        lines = cpus.read_text("utf-8").splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    kilobytes = int(memory.read_text("utf-8").split()[1]) if memory.exists() else 0
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "memory_mb": kilobytes // 1024,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }


def machine_line() -> str:
    """Return a description of the machine in one line."""
    found = machine()
    return (
        f"{found['processors']} processors {found['processor']}, {found['memory_mb']:,} MB, "
        f"{found['system']}, Python {found['python']}"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, markdown: bool = False) -> str:
    """Format a table, with the first column left-aligned and the others right-aligned."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        [
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    if not markdown:
        return "\n".join("  ".join(line).rstrip() for line in aligned)
    rule = "|---" + "|---:" * (len(header) - 1) + "|"
    first, *others = ["| " + " | ".join(line) + " |" for line in aligned]
    return "\n".join([first, rule, *others])


def write(name: str, results: Any) -> Path:
    """Write the results and the machine to build/bench/NAME.json; return the path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {"machine": machine(), "results": results}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def fresh_folder(name: str) -> Path:
    """Return an empty folder in build/bench/."""
    folder = RESULTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
