"""Measure writing and reading model files (time, size, memory), and building the archive.

    python benchmarks/weights.py [--runs 5] [--megabytes 100] [--markdown]

A float32 model is written and read as its bytes (`raw`), with np.savez (`stored`), with
np.savez_compressed (`compressed`), and with fednsite.weights and its checks (`ours`); `train` is a
whole step that learns nothing. Each runs in a separate process (weights_case.py), in alternation.
The peak is the process's memory in multiples of the model's size, including the model that is
written or compared. `archive` collects and packs the files of the compute package.
Prints a table and writes build/bench/weights.json.
"""

import json
import os
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import measuring
from measuring import Project

CASE = Path(__file__).resolve().parent / "weights_case.py"
WAYS = ("raw", "stored", "compressed", "ours")

ARCHIVE = """
import json, sys, time
from pathlib import Path
from fednkit.package.archive import archive_bytes, package_files
start = time.perf_counter()
content = archive_bytes(package_files(Path("client")))
print(json.dumps({"seconds": time.perf_counter() - start, "megabytes": len(content) / 1e6}))
"""


def one(project: Project, way: str, action: str, megabytes: int) -> dict[str, float]:
    """Return the measurements of one process."""
    # The step trains from the file that `ours` wrote.
    file = project.folder / f"{'ours' if way == 'step' else way}.npz"
    environment = {**os.environ, "FEDN_DATA_PATH": str(project.folder / "data" / "site-1")}
    command: list[str | Path] = [project.python, "-B", CASE, way, action, file, str(megabytes)]
    printed = measuring.run(command, cwd=project.client, env=environment)
    found: dict[str, float] = json.loads(printed)
    return found


def archive(project: Project) -> dict[str, float]:
    """Return the build time and the size of the project's package."""
    found: dict[str, float] = json.loads(
        measuring.run([project.python, "-B", "-c", ARCHIVE], cwd=project.folder)
    )
    return found


def measure(runs: int, megabytes: int) -> dict[str, dict[str, float]]:
    """Return the medians of all measurements by case."""
    project = Project(measuring.fresh_folder("weights"), "numpy")
    actions = [(way, action) for action in ("write", "read") for way in WAYS] + [("step", "train")]
    cases: dict[str, Any] = {
        f"{way} {action}": partial(one, project, way, action, megabytes) for way, action in actions
    }
    cases["archive"] = partial(archive, project)
    measured = measuring.in_turn(cases, runs)
    for file in project.folder.glob("*.npz"):
        file.unlink()
    return {
        name: {key: statistics.median(found[key] for found in all_found) for key in all_found[0]}
        for name, all_found in measured.items()
    }


def row(name: str, found: dict[str, float], raw: dict[str, float] | None) -> list[str]:
    """Return a row of the table."""
    milliseconds = 1000 * found["seconds"]
    return [
        name,
        f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.1f}",
        f"{found['seconds'] / raw['seconds']:.1f}" if raw else "",
        f"{found['megabytes']:.2f}",
        f"{found['peak']:.2f}" if "peak" in found else "",
    ]


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = measuring.options("Time model files and the archive.", runs=5)
    parser.add_argument("--megabytes", type=int, default=100, help="size of the model in MB (100)")
    options = parser.parse_args()
    results = measure(options.runs, options.megabytes)
    print(f"{measuring.machine_line()}; medians of {options.runs}")
    header = (f"{options.megabytes} MB of weights", "ms", "/raw", "MB", "peak, models")
    lines = [
        row(name, found, results.get(f"raw {name.rpartition(' ')[2]}"))
        for name, found in results.items()
    ]
    print(measuring.table(header, lines, markdown=options.markdown))
    size = {"runs": options.runs, "megabytes": options.megabytes}
    print(f"wrote {measuring.write('weights', size | results)}")


if __name__ == "__main__":
    main()
