"""Try kinds of input, in processes that can be killed, or run out of memory."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from fednkit.project.processes import ONE_THREAD

Outcome = dict[str, Any]
ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parents[1]),
    # Its default. Left alone, glibc raises it and keeps what was freed: a case would take memory
    # that the process has already, and its peak would not show.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 17),
}


def tried(counts: Mapping[str, int], seed: int, every: int = 1) -> dict[str, Outcome]:
    """Try kinds in one process, the corpus of each and as many cases; return what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(os.path.realpath(folder))
        command = [sys.executable, "-B", "-m", "fuzz.child", str(seed), str(every)]
        result = subprocess.run(
            [*command, *(f"{name}={count}" for name, count in counts.items())],
            cwd=here,
            env=os.environ | ONE_THREAD | ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        outcomes = {line["kind"]: line for line in map(json.loads, result.stdout.splitlines())}
        if result.returncode:
            case, said = (
                path.read_text("utf-8", "replace") if path.exists() else ""
                for path in (here / "case", here / "said")
            )
            what = f"the process ended with {result.returncode}: {said}{result.stderr}"
            name = next(name for name in counts if name not in outcomes)
            found = [{"case": case, "what": what[-2000:]}]
            outcomes[name] = {"cases": 0, "peak": 0, "crashes": 1, "found": found}
        return outcomes


def all_tried(
    counts: Mapping[str, int], seed: int, at_once: int = 2
) -> Iterator[tuple[str, Outcome]]:
    """Try kinds in a process each, some at once; yield the name of each and what came of it."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(tried, {name: count}, seed) for name, count in counts.items()]
        for future in as_completed(futures):
            yield from future.result().items()
