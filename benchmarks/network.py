"""Time a round on the embedded FEDn network, with and without the resident worker.

    python benchmarks/network.py [--frameworks keras,numpy] [--runs 2] [--rounds 12] [--markdown]

Four packages run on two sites each: `floor` is FEDn alone, with entry points that copy the model in
the shell that FEDn starts anyway; `warm` is the project's package; `cold` is the same without the
resident worker; `plain` has entry points in the style of FEDn's examples (plain_style.py).
A round is the time from one `train` of the sites to the next. It includes the validation and FEDn's
polling with random waits, so the values are medians over all rounds of all runs, without the first
round of each run. The waits are multiples of a second or two, so a median can jump; the last column
therefore has the ratio of the means. `work` is the time of Classifier.fit, Classifier.predict and
the metrics in a warm round, at the slower site. Needs bash 5, for its clock.
Prints a table and writes build/bench/network.json.
"""

import json
import os
import shutil
import statistics
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import measuring
from entry_points import HERE, STOPWATCH, TIMED
from measuring import Project

SITES = 2
# Written by every step to its site's folder.
STARTS, WORK = "starts.txt", "work.txt"
STAMP = f"echo $EPOCHREALTIME >> ../{STARTS}; "

PACKAGES = {
    "floor": {
        "train": STAMP + "step() { cp $1 $2; echo '{\"num_examples\": 1}' > $2-metadata; }; step",
        "validate": "step() { echo '{}' > $2; }; step",
    },
    "warm": {
        "startup": "python -m fednsite.worker",
        "train": STAMP + "python train.py",
        "validate": "python validate.py",
    },
    "plain": {
        "train": STAMP + "python plain_style.py train",
        "validate": "python plain_style.py validate",
    },
}
PACKAGES["cold"] = PACKAGES["warm"]
CASES = ("floor", "warm", "cold", "plain")


@dataclass(frozen=True)
class Rounds:
    """Seconds of the rounds of one run, without the first round.

    Attributes:
        whole: From the start of one round to the next.
        training: How long FEDn's combiner waited for updates, by its own record.
        work: Inside the model and the metrics, at the slower site; empty if not measured.
    """

    whole: list[float]
    training: list[float]
    work: list[float]


def prepare(project: Project) -> None:
    """Make the project record the work time of each step, and add the plain entry points."""
    for module, lines in TIMED.items():
        with (project.client / "model" / module).open("a", encoding="utf-8") as file:
            file.write(STOPWATCH + lines)
    shutil.copy(HERE / "plain_style.py", project.client)


def run_network(project: Project, case: str, rounds: int) -> Rounds:
    """Run `rounds` rounds after a first one, and one more, whose start ends the last of them."""
    commands = {name: {"command": command} for name, command in PACKAGES[case].items()}
    # JSON is YAML, too.
    manifest = json.dumps({"entry_points": commands})
    (project.client / "fedn.yaml").write_text(manifest, encoding="utf-8")
    environment = {
        **os.environ,
        "BENCH_WORK": f"../{WORK}",
        "RESIDENT_WORKER": "off" if case == "cold" else "on",
    }
    # Sites cache bytecode too; the first round writes it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    shutil.rmtree(project.folder / "runs", ignore_errors=True)
    network = [str(project.python), "-m", "fednkit", "network", "--sites", str(SITES)]
    measuring.run([*network, "--rounds", str(rounds + 2)], cwd=project.folder, env=environment)
    (folder,) = (project.folder / "runs").iterdir()
    noted = json.loads((folder / "metrics.json").read_text("utf-8"))["rounds"]
    starts = [min(sites) for sites in zip(*read(folder, STARTS), strict=True)]
    work = [by_round(site)[1 : rounds + 1] for site in read(folder, WORK)]
    return Rounds(
        whole=[end - start for start, end in pairwise(starts)][1:],
        training=[one["seconds"] for one in noted[1:-1]],
        work=[max(sites) for sites in zip(*work, strict=True)],
    )


def read(folder: Path, name: str) -> list[list[float]]:
    """Return the seconds that each site recorded in a file, in order."""
    files = sorted(folder.glob(f"site-*/{name}"))
    return [[float(line) for line in file.read_text("utf-8").split()] for file in files]


def by_round(noted: list[float]) -> list[float]:
    """Return a site's work per round: the sum of fit, predict and metrics."""
    return [sum(noted[start : start + 3]) for start in range(0, len(noted), 3)]


def measure(framework: str, runs: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median and mean seconds of each package's rounds."""
    project = Project(measuring.fresh_folder(f"network-{framework}"), framework)
    prepare(project)
    cases = {case: partial(run_network, project, case, rounds) for case in CASES}
    measured = measuring.in_turn(cases, runs, warm_up=0)
    results = {}
    for case, networks in measured.items():
        pooled = {
            name: [value for one in networks for value in asdict(one)[name]]
            for name in ("whole", "training", "work")
        }
        results[case] = {
            name: statistics.median(values) for name, values in pooled.items() if values
        }
        for name in ("whole", "work"):
            if pooled[name]:
                results[case][f"mean_{name}"] = statistics.mean(pooled[name])
    return results


def row(framework: str, results: dict[str, dict[str, float]]) -> list[str]:
    """Return a framework's row of the table, with its ratios."""
    floor, warm, cold, plain = (results[case]["whole"] for case in CASES)
    seconds = (floor, results["warm"]["work"], warm, cold, plain)
    ratios = [
        results["warm"][f"{kind}whole"]
        / (results["floor"][f"{kind}whole"] + results["warm"][f"{kind}work"])
        for kind in ("", "mean_")
    ]
    return [framework, *(f"{value:.2f}" for value in (*seconds, *ratios))]


HEADER = ("seconds a round", "floor", "work", "warm", "cold", "plain", "warm/(floor+work)", "means")


def main() -> None:
    """Measure every framework, print the table, write the JSON."""
    parser = measuring.options("Time a round on the embedded FEDn network.", runs=2)
    parser.add_argument("--rounds", type=int, default=12, help="measured rounds per run (12)")
    options = parser.parse_args()
    results = {
        framework: measure(framework, options.runs, options.rounds)
        for framework in options.frameworks
    }
    print(f"{measuring.machine_line()}; medians of {options.runs} x {options.rounds} rounds")
    lines = [row(framework, found) for framework, found in results.items()]
    print(measuring.table(HEADER, lines, markdown=options.markdown))
    size = {"runs": options.runs, "rounds": options.rounds}
    print(f"wrote {measuring.write('network', size | results)}")


if __name__ == "__main__":
    main()
