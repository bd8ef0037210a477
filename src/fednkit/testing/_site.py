"""A data provider's machine for the checks: its data, the unpacked archive, and its steps."""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..data import partition
from ..data.kinds import kind
from ..package.archive import archive_bytes, package_files
from ..project.config import current
from ..project.paths import by_number
from ._check import expect

SITES = 4
MAX_EXAMPLES = 8_000
# Variables that could make a site's Python import other libraries.
PYTHON_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH")
# Removed when the process exits.
_SAMPLE_FOLDER = tempfile.TemporaryDirectory(prefix="conformance-")


@cache
def site_folders() -> list[Path]:
    """Return the folders of your own sites in data/, or of four sites with sample data."""
    data = current().data
    record = data / "sites.json"
    sampled = record.exists() and not json.loads(record.read_text("utf-8"))["source"]
    own = sorted(data.glob("site-*"), key=lambda path: by_number(path.name))
    if own and not sampled:
        return own
    source = kind()
    everything = source.make(min(source.EXAMPLES, MAX_EXAMPLES), 1)
    parts = partition.iid(source.labels(everything), SITES, np.random.default_rng(1))
    folders = []
    for number, rows in enumerate(parts, start=1):
        folder = Path(_SAMPLE_FOLDER.name, f"site-{number}")
        folder.mkdir()
        source.write(everything, rows, folder / source.FILE_NAME)
        folders.append(folder)
    return folders


@cache
def archive() -> bytes:
    """Return the compute package, built from client/ and the library."""
    return archive_bytes(package_files(current().client))


class Machine:
    """A site with its unpacked package, in a folder whose path has a space."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "compute package"
        with tarfile.open(fileobj=io.BytesIO(archive())) as members:
            members.extractall(self.package, filter="data")

    def environment(self, **changed: str) -> dict[str, str]:
        """Return a site's environment, with its data, its ledger, and this Python as `python`."""
        kept = {n: v for n, v in os.environ.items() if n not in PYTHON_VARIABLES}
        # pytest changes this variable all the time; a worker rejects steps whose environment
        # differs.
        kept.pop("PYTEST_CURRENT_TEST", None)
        programs = str(Path(sys.executable).parent)
        return {
            **kept,
            "PATH": f"{programs}{os.pathsep}{kept.get('PATH', '')}",
            "FEDN_DATA_PATH": str(site_folders()[0]),
            "PRIVACY_LEDGER": str(self.folder / "ledger.json"),
            **changed,
        }

    def run(self, *command: str | Path, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments in the package's root."""
        return subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=self.package,
            env=self.environment(**changed),
            capture_output=True,
            text=True,
            check=False,
        )

    def step(self, name: str, model: Path, out: Path, **changed: str) -> None:
        """Run a step, which must succeed and print nothing to stderr."""
        done = self.run(f"{name}.py", model, out, **changed)
        expect(
            (done.returncode, done.stderr) == (0, ""),
            f"{name}.py: expected exit code 0 and nothing on stderr, found {done.returncode}: "
            f"{done.stderr.strip()}",
        )

    def error_line(self, *command: str | Path, out: Path, **changed: str) -> str:
        """Return the single error line of a command that must fail without writing a file."""
        done = self.run(*command, **changed)
        lines = done.stderr.splitlines()
        expect(
            done.returncode == 1 and len(lines) == 1 and lines[0].startswith("error: "),
            f"{command[0]}: expected exit code 1 and one line 'error: ...', found "
            f"{done.returncode}: {done.stderr.strip()}",
        )
        left = [path.name for path in out.parent.glob(f"{out.name}*")]
        expect(not left, f"{command[0]}: expected no file after a mistake, found {left}")
        return lines[0]


@contextmanager
def machine() -> Iterator[Machine]:
    """Yield a fresh machine in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        yield Machine(Path(folder))


def strict_json(path: Path) -> Any:
    """Read a JSON file; raise `AssertionError` for NaN and infinities."""

    def reject(constant: str) -> None:
        raise AssertionError(f"{path.name}: expected strict JSON, found {constant}")

    return json.loads(path.read_text("utf-8"), parse_constant=reject)
