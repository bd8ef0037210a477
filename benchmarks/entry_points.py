"""Time `train` and `validate` with and without the resident worker, and in FEDn's plain style.

    python benchmarks/entry_points.py [--frameworks keras,numpy] [--runs 7] [--markdown]

Whole processes are timed in alternation: `cold` runs without the resident worker, `warm` uses it,
`bare` is a script that does the minimum of a step (bare_work.py), `plain` is an entry point in the
style of FEDn's examples (plain_style.py), and `pass` is `python -c pass`. The overhead is a
process's time minus that of Classifier.fit, or of Classifier.predict and the metrics. Prints a
table and writes build/bench/entry_points.json.
"""

import os
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
from measuring import Project, seconds

HERE = Path(__file__).resolve().parent
STEPS = ("train", "validate")
STYLES = ("cold", "bare", "plain", "warm")
# Runs per turn of processes that take only milliseconds.
FAST_REPEATS = 5

# Appended to modules of the unpacked package, to time the functions that do the actual work.
STOPWATCH = """

def _timed(work):
    import os
    import time

    def timed(*arguments, **options):
        start = time.perf_counter()
        try:
            return work(*arguments, **options)
        finally:
            with open(os.environ["BENCH_WORK"], "a") as file:
                file.write(f"{time.perf_counter() - start}\\n")

    return timed

"""
TIMED = {
    "classifier.py": "Classifier.fit = _timed(Classifier.fit)\n"
    "Classifier.predict = _timed(Classifier.predict)\n",
    "metrics.py": "evaluate = _timed(evaluate)\n",
}

# Runs one turn; returns the total and the work seconds of each process.
Case = Callable[[], list[tuple[float, float]]]


class Steps:
    """The steps of one project, in every style."""

    def __init__(self, project: Project) -> None:
        self.project, self.package = project, project.unpack()
        self.work = project.folder / "work"
        self.environment = {
            **os.environ,
            "BENCH_WORK": str(self.work),
            "FEDN_DATA_PATH": str(project.folder / "data" / "site-1"),
        }
        # Sites cache bytecode too; the first turn writes it.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for module, lines in TIMED.items():
            with (self.package / "model" / module).open("a", encoding="utf-8") as file:
                file.write(STOPWATCH + lines)
        for script in ("bare_work.py", "plain_style.py"):
            shutil.copy(HERE / script, self.package)
        self.process(["-m", "fednsite.worker"])
        measuring.wait_for(lambda: bool(self.workers()), "a resident worker")
        self.started = self.workers()

    def workers(self) -> list[int]:
        """Return the inodes of the resident workers' sockets."""
        # A socket with a suffix is not in use yet.
        return [path.stat().st_ino for path in self.package.glob(".worker/*") if not path.suffix]

    def end(self) -> None:
        """Stop the worker; exit unless it ran all warm steps."""
        # A step that the worker rejects runs cold and starts another worker.
        if self.workers() != self.started:
            raise SystemExit("error: expected one worker for all warm steps, found another")
        # The worker ends when its folder is gone.
        shutil.rmtree(self.package / ".worker")

    def process(self, arguments: list[str], **environment: str) -> tuple[float, float]:
        """Run a process; return its total seconds and its work seconds."""
        self.work.write_text("")
        whole = seconds(
            [self.project.python, *arguments],
            cwd=self.package,
            env=self.environment | environment,
        )
        return whole, sum(map(float, self.work.read_text().split()))

    def step(self, step: str, style: str) -> tuple[float, float]:
        """Run a step on the seed model; return its total seconds and its work seconds."""
        script = {"bare": ["bare_work.py", step], "plain": ["plain_style.py", step]}
        out = self.project.folder / ("out.npz" if step == "train" else "out.json")
        arguments = [*script.get(style, [f"{step}.py"]), str(self.project.seed), str(out)]
        if style == "warm":
            return self.process(arguments)
        return self.process(arguments, RESIDENT_WORKER="off")

    def cases(self) -> dict[str, Case]:
        """Return the measurements of a turn by name."""

        def repeated(times: int, measure: Callable[..., tuple[float, float]], *of: Any) -> Case:
            return lambda: [measure(*of) for _ in range(times)]

        cases = {"pass": repeated(FAST_REPEATS, self.process, ["-c", "pass"])}
        for step in STEPS:
            for style in STYLES:
                times = FAST_REPEATS if style == "warm" else 1
                cases[f"{step} {style}"] = repeated(times, self.step, step, style)
        return cases


def measure(framework: str, runs: int) -> dict[str, dict[str, float]]:
    """Return medians in milliseconds: of whole processes, of the work, and of the overhead."""
    steps = Steps(Project(measuring.fresh_folder(f"entry_points-{framework}"), framework))
    measured = measuring.in_turn(steps.cases(), runs)
    steps.end()
    results = {}
    for name, turns in measured.items():
        pairs = [pair for turn in turns for pair in turn]
        results[name] = {
            "whole_ms": 1000 * statistics.median(whole for whole, _ in pairs),
            "work_ms": 1000 * statistics.median(work for _, work in pairs),
            "overhead_ms": 1000 * statistics.median(whole - work for whole, work in pairs),
        }
    floor = results["pass"]["whole_ms"]
    for step in STEPS:
        warm, plain = (results[f"{step} {style}"]["overhead_ms"] for style in ("warm", "plain"))
        both = zip(measured[f"{step} cold"], measured[f"{step} bare"], strict=True)
        results[f"{step} ratios"] = {
            # Ratio per turn, because other load on the machine affects neighbouring runs alike.
            "cold_over_bare": statistics.median(cold[0][0] / bare[0][0] for cold, bare in both),
            "plain_over_warm_overhead": plain / warm,
            "warm_overhead_over_pass": warm / floor,
        }
    return results


def rows(framework: str, results: dict[str, dict[str, float]]) -> list[list[str]]:
    """Return a framework's rows of the table, with its ratios."""
    lines = []
    for step in STEPS:
        cold, bare, plain, warm = (results[f"{step} {style}"] for style in STYLES)
        ratios = results[f"{step} ratios"]
        lines.append(
            [
                f"{framework} {step}",
                *(f"{case['whole_ms']:.0f}" for case in (plain, bare, cold)),
                f"{ratios['cold_over_bare']:.2f}",
                f"{warm['whole_ms']:.1f}",
                f"{plain['overhead_ms']:.0f}",
                f"{warm['overhead_ms']:.1f}",
                f"{ratios['plain_over_warm_overhead']:.0f}",
                f"{results['pass']['whole_ms']:.1f}",
                f"{ratios['warm_overhead_over_pass']:.2f}",
            ]
        )
    return lines


HEADER = (
    *("milliseconds", "plain", "bare", "cold", "cold/bare", "warm"),
    *("over: plain", "warm", "plain/warm", "pass", "warm/pass"),
)


def main() -> None:
    """Measure every framework, print the table, write the JSON."""
    options = measuring.options(__doc__.splitlines()[0], runs=7).parse_args()
    results, lines = {}, []
    for framework in options.frameworks:
        results[framework] = measure(framework, options.runs)
        lines += rows(framework, results[framework])
    print(f"{measuring.machine_line()}; medians of {options.runs} turns")
    print(measuring.table(HEADER, lines, markdown=options.markdown))
    path = measuring.write("entry_points", {"runs": options.runs, **results})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
