"""Time this template's simulation against Flower's own: same model, data, clients and rounds.

    python benchmarks/simulation/compare.py --clients 2 10 100 1000 --runs 5

Sets up an environment for each below build/venvs, generates a numpy project, puts the logistic
regression into it, and runs both as whole processes in turn. Prints medians and ratios; with
--without-flower only what this template's simulation takes.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import measuring
from measuring import Project

HERE = Path(__file__).resolve().parent
FEATURES, PER_CLIENT = 29, 2000
# Of all clients together: beyond a hundred of them, each has fewer.
EXAMPLES = 200_000
SETTINGS = {"epochs": 1, "batch_size": 32, "learning_rate": 0.05}
FLOWER = "flwr[simulation]==1.41.0"


def environment(name: str, *requirements: str) -> Path:
    """Return the Python of an environment, set up once."""
    venv = measuring.ROOT / "build" / "venvs" / name
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    # In seconds with uv; with pip where uv cannot reach what pip has from elsewhere.
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    if subprocess.run([*uv, *requirements], check=False).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
    return python


def prepare(project: Project) -> None:
    """Put the benchmark's model and schema into the project, and make the seed model anew."""
    model = project.client / "model"
    shutil.copy(HERE / "logistic_regression.py", model / "classifier.py")
    names = [f"x{number}" for number in range(FEATURES)]
    scale = {"center": 0, "spread": 1}
    fields = [{"name": name, "type": "number", "scale": scale} for name in names]
    fields.append({"name": "label", "type": "integer", "constraints": {"enum": [0, 1]}})
    schema = {"fields": fields, "label": "label"}
    (model / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    measuring.run([project.python, "-m", "fednkit", "seed"], cwd=project.folder)


MAKE_DATA = """
import sys, json, numpy as np
folder, clients, per_client, features = sys.argv[1], *map(int, sys.argv[2:5])
random = np.random.default_rng(0)
x = random.normal(size=(clients * per_client, features)).astype(np.float32).round(4)
truth = random.normal(size=features)
y = (x @ truth + random.logistic(size=len(x)) > 0).astype(np.int64)
head = ",".join([*(f"x{i}" for i in range(features)), "label"])
np.savetxt(f"{folder}/all.csv", np.column_stack([x, y]), delimiter=",", header=head, comments="",
           fmt=["%.4f"] * features + ["%d"])
for client in range(clients):
    rows = slice(client * per_client, (client + 1) * per_client)
    cut = per_client // 5
    np.savez(f"{folder}/client-{client}.npz", x_train=x[rows][cut:], y_train=y[rows][cut:],
             x_test=x[rows][:cut], y_test=y[rows][:cut])
"""


def timed(command: list[str], folder: Path) -> float:
    """Return the wall time of a whole process that must succeed."""
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    start = time.perf_counter()
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(result.stdout + result.stderr)
    return time.perf_counter() - start


def main() -> None:
    """Compare the two for every number of clients."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[10])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--without-flower", action="store_true", help="time this template alone")
    options = parser.parse_args()
    work = measuring.fresh_folder("simulation")
    project = Project(work, "numpy")
    prepare(project)
    flower = None if options.without_flower else environment("flower", FLOWER, "numpy==2.2.6")
    (work / "settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    for clients in options.clients:
        compare(clients, options.rounds, options.runs, work, project, flower)


def compare(
    clients: int, rounds: int, runs: int, work: Path, project: Project, flower: Path | None
) -> None:
    """Print whole-process times and times per round, and how many times faster one is.

    work: a folder for the data. flower: the Python of Flower's environment, None to leave it out.
    """
    per_client = min(PER_CLIENT, EXAMPLES // clients)
    make: list[str | Path] = [project.python, "-c", MAKE_DATA, work, str(clients)]
    measuring.run([*make, str(per_client), str(FEATURES)])
    simulate = [str(project.python), "-m", "fednkit", "simulate", "--source", str(work / "all.csv")]
    simulate += ["--clients", str(clients), "--rounds", str(rounds)]
    simulate += ["--partition", "iid", "--no-baselines"]
    for name, value in SETTINGS.items():
        simulate += ["--set", f"{name}={json.dumps(value)}"]
    simulate += ["--set", "balance_classes=false"]
    app = [str(flower), str(HERE / "flower_app.py"), str(work), str(clients), str(rounds)]

    times: dict[str, list[tuple[float, float]]] = {"Flower": [], "ours": []}
    if not flower:
        del times["Flower"]
    for run in range(runs + 1):
        took = {}
        if flower:
            whole = timed(app, work)
            report = json.loads((work / "flower.json").read_text("utf-8"))
            took["Flower"] = whole, report["rounds_seconds"]
        whole = timed(simulate, project.folder)
        newest = max((project.folder / "runs").iterdir())
        lines = [json.loads(line) for line in (newest / "metrics.jsonl").open(encoding="utf-8")]
        took["ours"] = whole, sum(line["seconds"] for line in lines)
        if run:  # The first of each is a warm-up.
            for name, pair in took.items():
                times[name].append(pair)
    print(f"{clients} clients, {per_client} examples each, {rounds} rounds; "
          f"Python {platform.python_version()}, {os.cpu_count()} processors, "
          f"medians of {runs} runs")  # fmt: skip
    medians = {}
    for name, pairs in times.items():
        whole, total = (statistics.median(column) for column in zip(*pairs, strict=True))
        medians[name] = whole, total / rounds
        print(f"{name:<7} whole process {whole:6.2f} s   a round {1000 * medians[name][1]:8.1f} ms")
    if flower:
        ratios = [theirs / own for theirs, own in zip(*medians.values(), strict=True)]
        print(f"ratio   whole process {ratios[0]:6.1f} times   a round {ratios[1]:6.1f} times")


if __name__ == "__main__":
    main()
