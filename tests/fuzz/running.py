"""Try kinds of input, each in a process of its own, over freshly generated projects."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from baking import ROOT, bake

from fuzz.kinds import KINDS

Outcome = dict[str, Any]


def tried(
    project: Path, counts: Mapping[str, int], seed: int, every: int = 1
) -> dict[str, Outcome]:
    """Try kinds in one process, the corpus of each and as many cases; return what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(os.path.realpath(folder))
        paths = [str(ROOT / "tests"), str(project / "client"), str(project)]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "POLARS_MAX_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, "-B", "-m", "fuzz.child", str(project), str(seed), str(every)]
        command += [f"{name}={count}" for name, count in counts.items()]
        result = subprocess.run(
            command, cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        outcomes = {line["kind"]: line for line in map(json.loads, result.stdout.splitlines())}
        if result.returncode:
            texts = [
                path.read_text("utf-8", "replace") if path.exists() else ""
                for path in (here / "case", here / "said")
            ]
            what = f"the process ended with {result.returncode}: {texts[1]}{result.stderr}"
            found = [{"case": texts[0], "what": what[-2000:]}]
            name = next(name for name in counts if name not in outcomes)
            outcomes[name] = {"cases": 0, "peak": 0, "crashes": 1, "found": found}
        return outcomes


def projects(folder: Path) -> Mapping[str, Path]:
    """Generate a project of each task."""
    return {
        task: bake(folder / task, hooks=False, task=task, framework="numpy")
        for task in sorted({kind.task for kind in KINDS.values()})
    }


def all_tried(
    baked: Mapping[str, Path], counts: Mapping[str, int], seed: int, at_once: int = 2
) -> Iterator[tuple[str, Outcome]]:
    """Try kinds in a process each, some at once; yield the name of each and what came of it."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = [
            pool.submit(tried, baked[KINDS[name].task], {name: count}, seed)
            for name, count in counts.items()
        ]
        for future in as_completed(futures):
            yield from future.result().items()
