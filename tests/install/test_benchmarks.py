"""The benchmarks of the template's own side run: what they print is for people, not for a test."""

import os
import subprocess
import sys

import pytest
from baking import ROOT
from installing import CAPTURED, VENVS, check, fill_shared

pytestmark = [pytest.mark.install, pytest.mark.slow]


@pytest.mark.parametrize(
    ("script", "options", "row"),
    [
        ("entry_points.py", ["--frameworks", "numpy"], "numpy train"),
        ("memory.py", ["--frameworks", "numpy"], "numpy "),
        ("network.py", ["--frameworks", "numpy", "--rounds", "1"], "numpy "),
        ("weights.py", ["--megabytes", "1"], "ours write"),
        ("simulation/compare.py", ["--without-flower", "--rounds", "1"], "ours "),
    ],
)
def test_a_benchmark_ends_with_its_table(script: str, options: list[str], row: str) -> None:
    fill_shared("numpy")
    command = [sys.executable, "-B", f"benchmarks/{script}", *options, "--runs", "1"]
    environment = os.environ | {"BENCH_VENVS": str(VENVS)}
    printed = check(subprocess.run(command, cwd=ROOT, env=environment, **CAPTURED))
    assert f"\n{row}" in printed
