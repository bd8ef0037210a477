"""Measure how a simulation grows with its clients: python benchmarks/simulation/scale.py PROJECT.

PROJECT is a generated fraud project whose environment is set up. 10, 100 and 1,000 clients share
the same examples; in one series all take part, in the other ten clients do. Prints the time of
a round and the peak memory of the largest process.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

EXAMPLES, ROUNDS = 400_000, 10


def measure(project: Path, clients: int, participation: float) -> tuple[float, float]:
    """Return the seconds of a round and the peak memory in MB."""
    command = [str(project / ".venv" / "bin" / "python"), "-m", "fednkit", "simulate"]
    command += ["--clients", str(clients), "--participation", str(participation)]
    command += ["--rounds", str(ROUNDS), "--examples", str(EXAMPLES), "--partition", "iid"]
    # In a process of its own, because the system reports the peak of all children together.
    child = os.fork()
    if not child:
        result = subprocess.run(
            [*command, "--no-baselines", "--name", "scale"],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            sys.stderr.write(result.stderr)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        (project / "runs" / "peak.json").write_text(json.dumps([result.returncode, peak]))
        os._exit(0)
    os.waitpid(child, 0)
    code, peak = json.loads((project / "runs" / "peak.json").read_text())
    if code:
        raise SystemExit(f"error: the simulation ended with exit code {code}; see above")
    newest = max((project / "runs").glob("*-scale"))
    with (newest / "metrics.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return sum(line["seconds"] for line in lines) / ROUNDS, peak


def main(project: Path) -> None:
    """Print a table."""
    (project / "runs").mkdir(exist_ok=True)
    print(f"{EXAMPLES:,} examples in all, {ROUNDS} rounds")
    print(f"{'clients':>8} {'take part':>10} {'a round':>10} {'peak memory':>12}")
    for clients in (10, 100, 1000):
        for taking_part in sorted({10, clients // 10 or 1, clients}):
            if taking_part > clients:
                continue
            seconds, peak = measure(project, clients, taking_part / clients)
            print(f"{clients:>8,} {taking_part:>10,} {seconds:>8.2f} s {peak:>9.0f} MB", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
