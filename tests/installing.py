"""Generated projects that are set up for real, and what their users do with them."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from baking import FRAMEWORKS, ROOT, bake

# Kept between runs, where they are renewed only when what a project installs changes.
VENVS = ROOT / "build" / "venvs"
UV = Path(sys.executable).with_name("uv")
# In an environment: the SHA-256 of what was installed into it.
MARKER = "installed.sha256"
# In this task's projects, because its lock holds all that those of the other tasks hold.
LARGEST_TASK = "fraud"
# Every framework; only NumPy's tests run in `make test`.
SLOW_BUT_NUMPY = [
    pytest.param(name, marks=[] if name == "numpy" else pytest.mark.slow) for name in FRAMEWORKS
]

# Each task and each framework at least once: of what differs by one or the other, and not by both.
PAIRS = [
    ("fraud", "numpy"),
    ("mnist", "numpy"),
    ("fraud", "sklearn"),
    ("fraud", "pytorch"),
    ("mnist", "keras"),
]


class Installed:
    """A generated project of one's own, whose environment is set up.

    Args:
        folder: The project.
        environment: A framework, whose projects share an environment, or a name of one's own for a
            project that installs something else.
    """

    def __init__(self, folder: Path, environment: str) -> None:
        self.folder = folder
        self.venv = VENVS / environment
        self.python = self.venv / "bin" / "python"
        if environment in FRAMEWORKS:
            fill_shared(environment)
        else:
            with locked(environment):
                fill(self.venv, folder)
        # They are later than the files of this project, so make does not install again.
        (self.venv / ".ready").touch()
        needs = (folder / "vendor" / "requirements.txt").read_text("utf-8")
        (self.venv / f".fednkit-{needs.partition('sha256:')[2][:16]}").touch()

    def make(self, *verbs: str) -> str:
        """Run make, which must succeed, and return what it printed."""
        return make(self.folder, self.venv, *verbs)

    def shell(self, script: str) -> str:
        """Run a shell script in the project's folder; it must succeed."""
        return check(subprocess.run(["bash", "-c", script], cwd=self.folder, **CAPTURED))

    def program(self, *arguments: str) -> list[str | Path]:
        """Return the command line of `fednkit`, whose output is not held back."""
        return [self.python, "-u", self.venv / "bin" / "fednkit", *arguments]

    def fednkit(self, *arguments: str) -> str:
        """Run a command of fednkit, which must succeed, and return what it printed."""
        return check(self.attempt(*arguments))

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of fednkit."""
        command: list[str | Path] = [self.venv / "bin" / "fednkit", *arguments]
        return subprocess.run(command, cwd=self.folder, **CAPTURED)

    def run_code(self, code: str, *arguments: str | Path) -> str:
        """Run code with the project's Python, in its folder; it must succeed."""
        command: list[str | Path] = [self.python, "-c", code, *arguments]
        return check(subprocess.run(command, cwd=self.folder, **CAPTURED))

    def unpack(self, folder: Path) -> Path:
        """Unpack the archive, as it is built, into a new folder, and return that."""
        shutil.unpack_archive(self.folder / f"{self.folder.name}.tar.gz", folder, "gztar")
        return folder

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of fednkit; its output, errors included, can be read by line."""
        return subprocess.Popen(
            self.program(*arguments),
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

    def validate(self, model: Path, site: str) -> dict[str, float]:
        """Return what validate.py measures of a model on a trial site's held-out examples."""
        out = model.with_name(f"{model.name}.validation.json")
        command = f"cd client && FEDN_DATA_PATH='../data/{site}' '{self.python}' validate.py"
        self.shell(f"{command} '{model}' '{out}'")
        metrics: dict[str, float] = json.loads(out.read_text("utf-8"))
        return metrics

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
        return self.run_code(code, one, other).strip() == "True"

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


@cache
def fill_shared(framework: str) -> None:
    """Install what the projects of a framework need into the environment that they share.

    The tests run in several processes. One of them installs, and the others wait for it; none
    installs again what is there, because others may be using it.
    """
    venv = VENVS / framework
    with locked(framework), tempfile.TemporaryDirectory() as name:
        fill(venv, bake(Path(name) / "out", task=LARGEST_TASK, framework=framework))


def fill(venv: Path, project: Path) -> None:
    """Install what a project's `make setup` does, unless it is there already.

    The verb itself is run by `make demo` and by the tests of the library.
    """
    digest, marker = installed_digest(project), venv / MARKER
    if not marker.exists() or marker.read_text("utf-8") != digest:
        marker.unlink(missing_ok=True)
        fresh_venv(venv)
        install(venv, "--require-hashes", "-r", project / "requirements.lock")
        install(venv, "-r", project / "requirements-dev.txt")
        vendor = "--no-index", "--no-deps", "--require-hashes"
        install(venv, *vendor, "-r", project / "vendor" / "requirements.txt")
        marker.write_text(digest, "utf-8")


def fresh_venv(venv: Path) -> None:
    """Make an environment with pip alone."""
    check(subprocess.run([sys.executable, "-m", "venv", "--clear", venv], **CAPTURED))


def install(venv: Path, *arguments: str | Path) -> None:
    """Install into an environment: with uv in seconds, with pip where uv cannot.

    Not every page that a lock names can be reached everywhere. Where pip has the file from
    elsewhere it goes on, and uv does not.
    """
    python = venv / "bin" / "python"
    # Copies, because a test may change what is installed, and links would change uv's cache.
    copied: list[str | Path] = ["--python", python, "--quiet", "--link-mode", "copy"]
    if subprocess.run([UV, "pip", "install", *copied, *arguments], **CAPTURED).returncode:
        check(subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], **CAPTURED))


def installed_digest(project: Path) -> str:
    """Return the SHA-256 of what `make setup` installs from: requirements, lock and wheel."""
    digest = hashlib.sha256()
    for path in sorted([*project.glob("requirements*"), *project.glob("vendor/*")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def locked(environment: str) -> Iterator[None]:
    """Keep other processes from installing into an environment during the block."""
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / f".{environment}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make(folder: Path, venv: Path, *verbs: str) -> str:
    """Run make in a project, with an environment; it must succeed. Return what it printed."""
    command: list[str | Path] = ["make", "-C", folder, *verbs, f"VENV={venv}"]
    return check(subprocess.run([*command, f"PYTHON={sys.executable}"], **CAPTURED))


def replace_in_wheel(wheel: Path, member: str, old: bytes, new: bytes) -> None:
    """Change a file in a project's wheel, and the hash by which pip takes the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert old in files[member]
    files[member] = files[member].replace(old, new, 1)
    before = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    requirements = wheel.with_name("requirements.txt")
    text = requirements.read_text("utf-8")
    assert before in text
    after = hashlib.sha256(wheel.read_bytes()).hexdigest()
    requirements.write_text(text.replace(before, after), "utf-8")


def check(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def working_folder(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
