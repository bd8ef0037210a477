"""Generated projects that are set up for real, and what their users do with them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from baking import ROOT

# Kept between runs, where they are renewed only when the requirements change.
VENVS = ROOT / "build" / "venvs"


class Installed:
    """A generated project of one's own, whose environment is set up."""

    def __init__(self, folder: Path, framework: str) -> None:
        self.folder = folder
        self.venv = VENVS / framework
        self.python = self.venv / "bin" / "python"
        self.make("setup")

    def make(self, *verbs: str) -> str:
        """Run make, which must succeed, and return what it printed."""
        command: list[str | Path] = ["make", "-C", self.folder, *verbs, f"VENV={self.venv}"]
        return check(subprocess.run([*command, f"PYTHON={sys.executable}"], **CAPTURED))

    def shell(self, script: str) -> str:
        """Run a shell script in the project's folder; it must succeed."""
        return check(subprocess.run(["bash", "-c", script], cwd=self.folder, **CAPTURED))

    def federation(self, *arguments: str) -> str:
        """Run one of the project's tools, which must succeed, and return what it printed."""
        return check(self.attempt(*arguments))

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the project's tools."""
        command: list[str | Path] = [self.python, "-m", "federation", *arguments]
        return subprocess.run(command, cwd=self.folder, **CAPTURED)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one of the project's tools; its output, errors included, can be read by line."""
        return subprocess.Popen(
            [self.python, "-u", "-m", "federation", *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A test in the background has them ignored, and its children would inherit that.
            preexec_fn=lambda: [
                signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP)
            ],
        )

    def rounds_with(self, sites: int, *options: str) -> str:
        """Run rounds on a controller as soon as so many sites are there; they must succeed."""
        deadline = time.monotonic() + 120
        while True:
            result = self.attempt("session", "start", "--sites", str(sites), *options)
            if "error: --sites: expected" not in result.stderr or time.monotonic() > deadline:
                return check(result)

    def join(
        self, folder: Path, data: Path, *options: str, **environment: str
    ) -> subprocess.Popen[str]:
        """Start FEDn's own client for a site, in a folder of its own, logging to client.log."""
        folder.mkdir()
        programs = self.python.parent
        environment |= {"FEDN_DATA_PATH": str(data), "PATH": f"{programs}:{os.environ['PATH']}"}
        with (folder / "client.log").open("w") as log:
            return subprocess.Popen(
                [programs / "fedn", "client", "start", "--name", folder.name, *options],
                cwd=folder,
                env=os.environ | environment,
                text=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def learning(self, rounds: int) -> list[dict[str, float]]:
        """Return the metrics of the seed model and of each round of federated averaging."""
        script = ROOT / "benchmarks" / "learning.py"
        command: list[str | Path] = [self.python, script, self.folder, str(rounds)]
        printed = check(subprocess.run(command, **CAPTURED))
        return [json.loads(line) for line in printed.splitlines()]

    def run_folder(self) -> Path:
        """Return the folder of the newest run."""
        return max((self.folder / "runs").iterdir())

    def same_arrays(self, one: Path, other: Path) -> bool:
        """Tell whether two model files hold equal arrays, bit for bit."""
        code = (
            "import sys, numpy as np\n"
            "one, other = (np.load(path) for path in sys.argv[1:])\n"
            "print(one.files == other.files and all(\n"
            "    one[k].dtype == other[k].dtype and np.array_equal(one[k], other[k])"
            " for k in one))\n"
        )
        command: list[str | Path] = [self.python, "-c", code, one, other]
        return check(subprocess.run(command, **CAPTURED)).strip() == "True"

    def processes(self) -> dict[int, str]:
        """Return what still runs of this project, by process id."""
        listed = check(subprocess.run(["ps", "-ww", "-eo", "pid=,args="], **CAPTURED))
        lines = [line.strip().partition(" ") for line in listed.splitlines()]
        mine = {int(pid): args for pid, _, args in lines if str(self.folder) in working_folder(pid)}
        return {pid: args for pid, args in mine.items() if pid != os.getpid()}


# What the fixtures `installed` and `record_figure` give.
Install = Callable[..., Installed]
Metrics = dict[str, float]
RecordFigure = Callable[[str, Metrics, Metrics], None]

CAPTURED: dict[str, Any] = {"capture_output": True, "text": True, "check": False}


def check(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def working_folder(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
