"""Measure the resident memory of a step without worker, of a worker, and of several workers.

    python benchmarks/memory.py [--frameworks keras,numpy] [--runs 3] [--markdown]

`cold` is the peak of a `train` without worker. A worker runs 20 steps, alternating `train` and
`validate`; its peak and its growth from the third step to the last are measured. With several
clients, each with its own site and worker, the workers' proportional set sizes are summed, so that
shared memory counts once. Prints a table and writes build/bench/memory.json. Needs Linux.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import measuring
from measuring import Project

STEPS, FIRST_STEADY_STEP = 20, 3
CLIENTS = (1, 2, 4)
# Acts as FEDn's client: run the startup command, then a step for every line on standard input.
CLIENT = """
import glob, os, subprocess, sys, time
python, seed, out = sys.argv[1:]
subprocess.run([python, "-m", "fednsite.worker"], check=True)
deadline = time.monotonic() + 60
while not any(name.count(".") == 1 for name in glob.glob(f".worker/{os.getpid()}-*")):
    assert time.monotonic() < deadline, "expected a resident worker within a minute, found none"
    time.sleep(0.01)
for step in map(str.strip, sys.stdin):
    subprocess.run([python, f"{step}.py", seed, f"{out}-{step}"], check=True)
    print("done", flush=True)
"""


def environment(project: Project, site: int = 1) -> dict[str, str]:
    """Return the environment of a site's client."""
    return {**os.environ, "FEDN_DATA_PATH": str(project.folder / "data" / f"site-{site}")}


class Client:
    """A client process with a site and a worker."""

    def __init__(self, project: Project, package: Path, site: int = 1) -> None:
        out = project.folder / f"out-{site}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, project.python, project.seed, out],
            cwd=package,
            env=environment(project, site),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def step(self, name: str) -> None:
        """Run a step; exit if it fails."""
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "done\n":
            raise SystemExit(f"error: {name} failed; see above")

    def worker(self) -> Path:
        """Return the worker's folder in /proc; its socket argument contains the client's id."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if any(word.startswith(b".worker/%d-" % self.process.pid) for word in words):
                    return folder
            except OSError:
                continue
        raise SystemExit("error: the client's worker is gone")

    def end(self) -> None:
        """Stop the client, which ends its worker."""
        self.process.communicate()


def megabytes(file: Path, entry: str) -> float:
    """Return an entry of a process's status or smaps_rollup, converted from KiB to MiB."""
    lines = dict(line.split(":", 1) for line in file.read_text("utf-8").splitlines() if ":" in line)
    return int(lines[entry].split()[0]) / 1024


def cold_peak(project: Project, package: Path) -> float:
    """Return the peak resident megabytes of a `train` without worker."""
    arguments = [str(project.python), "train.py", str(project.seed), "../out"]
    alone = environment(project) | {"RESIDENT_WORKER": "off"}
    process = subprocess.Popen(arguments, cwd=package, env=alone)
    # The result is at least this process's own peak, which is far below any framework's.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("error: the step failed; see above")
    return usage.ru_maxrss / 1024


def long_lived(project: Project, package: Path) -> dict[str, float]:
    """Return a worker's peak over many steps, and its growth after the first steps."""
    client = Client(project, package)
    resident = []
    for number in range(STEPS):
        client.step(("train", "validate")[number % 2])
        resident.append(megabytes(client.worker() / "status", "VmRSS"))
    peak = megabytes(client.worker() / "status", "VmHWM")
    client.end()
    return {"worker_peak": peak, "worker_growth": resident[-1] - resident[FIRST_STEADY_STEP - 1]}


def together(project: Project, package: Path, number: int) -> float:
    """Return the total megabytes of the workers of several clients."""
    clients = [Client(project, package, site) for site in range(1, number + 1)]
    for client in clients:
        client.step("train")
        client.step("validate")
    held = sum(megabytes(client.worker() / "smaps_rollup", "Pss") for client in clients)
    for client in clients:
        client.end()
    return held


def measure(framework: str, runs: int) -> dict[str, float]:
    """Return the measurements in megabytes by name."""
    project = Project(measuring.fresh_folder(f"memory-{framework}"), framework)
    sites = ["-m", "fednkit", "sites", "--sites", str(max(CLIENTS))]
    measuring.run([project.python, *sites], cwd=project.folder)
    package = project.unpack()
    results = {"cold_peak": statistics.median(cold_peak(project, package) for _ in range(runs))}
    results |= long_lived(project, package)
    for number in CLIENTS:
        results[f"workers_{number}"] = together(project, package, number)
        measuring.progress(f"{framework}: {number} of {max(CLIENTS)} clients")
    measuring.progress("")
    return results


def main() -> None:
    """Measure every framework, print the table, write the JSON."""
    options = measuring.options(__doc__.splitlines()[0], runs=3).parse_args()
    results = {name: measure(name, options.runs) for name in options.frameworks}
    header = ["megabytes", "cold train", "worker", f"growth, steps {FIRST_STEADY_STEP} to {STEPS}"]
    header += [f"{number} client{'s' * (number > 1)}" for number in CLIENTS]
    lines = [
        [name, *(f"{value:.{int(key == 'worker_growth')}f}" for key, value in found.items())]
        for name, found in results.items()
    ]
    print(measuring.machine_line())
    print(measuring.table(header, lines, markdown=options.markdown))
    print(f"wrote {measuring.write('memory', {'runs': options.runs, **results})}")


if __name__ == "__main__":
    main()
