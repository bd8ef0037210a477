"""Measure the accuracy of a model with bad clients, for each attack and each defence.

    .venv/bin/python -B benchmarks/robustness.py --frameworks numpy sklearn --attacks all

Generates the project for handwritten digits, partitions them unevenly over clients (Dirichlet, 0.5)
and simulates. Prints the Markdown tables of benchmarks/ROBUSTNESS.md. Uses the environments of the
tests in build/venvs. Results are saved in build/bench/robustness.json, so that an interrupted run
can continue; delete the file to measure again.
"""

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from baking import FRAMEWORKS, ROOT, bake
from installing import Installed

KEPT = ROOT / "build" / "bench" / "robustness.json"
ATTACKS = ("sign-flip", "scale", "random", "constant", "nan", "label-flip")
DEFENCES = {
    "fedavg": [],
    "norm bound": ["--norm-bound", "1"],
    "median": ["--aggregator", "median"],
    "trimmed mean": ["--aggregator", "trimmed-mean"],
    "Krum": ["--aggregator", "krum"],
    "multi-Krum": ["--aggregator", "multi-krum"],
}
# Frameworks that start and train more slowly get fewer clients and rounds.
SIZES = {"keras": (10, 6), "pytorch": (10, 6)}
USUAL = (20, 20)


@dataclass(frozen=True)
class Case:
    """One simulation."""

    framework: str
    attack: str | None
    share: float
    defence: str

    def key(self) -> str:
        """Return the key of its result."""
        return f"{self.framework} {self.attack} {self.share} {self.defence}"

    def options(self) -> list[str]:
        """Return the options of `simulate`."""
        clients, rounds = SIZES.get(self.framework, USUAL)
        text = f"--clients {clients} --rounds {rounds} --partition dirichlet --alpha 0.5"
        options = [*text.split(), "--no-baselines", "--on-error", "skip", "--workers", "1"]
        if self.attack:
            options += ["--attack", self.attack, "--attackers", str(self.share)]
        if self.defence in ("trimmed mean", "Krum", "multi-Krum"):
            options += ["--tolerate", str(max(self.share, 0.2))]
        return options + DEFENCES[self.defence]


def measure(project: Installed, case: Case) -> float | None:
    """Return the last round's accuracy on all held-out digits; None if the run failed."""
    name = case.key().replace(" ", "-")
    result = project.attempt("simulate", "--name", name, *case.options())
    if result.returncode:
        print(f"{name}: {result.stderr.strip()}", file=sys.stderr)
        return None
    (folder,) = (project.folder / "runs").glob(f"*-{name}")
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return float(json.loads(lines[-1])["global"]["accuracy"])


def cases(framework: str, attacks: list[str], shares: list[float]) -> list[Case]:
    """Return all cases of a framework."""
    return [
        Case(framework=framework, attack=attack, share=share, defence=defence)
        for attack, share in rows(attacks, shares)
        for defence in DEFENCES
    ]


def rows(attacks: list[str], shares: list[float]) -> list[tuple[str | None, float]]:
    """Return attacks and shares of bad clients: first no attack, then every pair."""
    return [(None, 0.0), *((attack, share) for attack in attacks for share in shares)]


def tables(
    frameworks: list[str],
    attacks: list[str],
    shares: list[float],
    known: dict[str, float | None],
) -> str:
    """Return a table per framework, with a row per attack and share and a column per defence."""
    parts = []
    for framework in frameworks:
        clients, rounds = SIZES.get(framework, USUAL)
        parts += [f"\n### {framework}: {clients} clients, {rounds} rounds\n"]
        parts += ["| attack | bad clients | " + " | ".join(DEFENCES) + " |"]
        parts += ["|---|---:|" + "---:|" * len(DEFENCES)]
        for attack, share in rows(attacks, shares):
            found = [
                known.get(Case(framework=framework, attack=attack, share=share, defence=d).key())
                for d in DEFENCES
            ]
            figures = " | ".join("-" if value is None else f"{value:.3f}" for value in found)
            parts.append(f"| {attack or 'none'} | {100 * share:.0f} % | {figures} |")
    return "\n".join(parts)


def main() -> None:
    """Measure the missing cases, and print all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=["numpy"])
    parser.add_argument("--attacks", nargs="+", choices=(*ATTACKS, "all"), default=["sign-flip"])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.2, 0.4])
    options = parser.parse_args()
    attacks = list(ATTACKS) if "all" in options.attacks else options.attacks
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for framework in options.frameworks:
            wanted = [c for c in cases(framework, attacks, options.shares) if c.key() not in known]
            if not wanted:
                continue
            project = Installed(
                bake(Path(folder) / framework, hooks=False, task="mnist", framework=framework),
                framework,
            )
            project.fednkit("seed")
            # Each simulation uses one processor.
            with ThreadPoolExecutor(2) as pool:
                results = pool.map(measure, [project] * len(wanted), wanted)
                for case, value in zip(wanted, results, strict=True):
                    known[case.key()] = value
                    KEPT.write_text(json.dumps(known, indent=1), encoding="utf-8")
    print(tables(options.frameworks, attacks, options.shares, known))


if __name__ == "__main__":
    main()
