"""The project that contains the working folder: its record and its paths.

The record is the table [tool.fednkit] of `pyproject.toml`. Each value is a double-quoted string on
one line, which is valid JSON too, so that the template's hook can read it on Python 3.10, which
has no TOML parser.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .. import __version__
from .errors import ProjectError

__all__ = ["Project", "check_version", "current", "read_project"]

TABLE = "[tool.fednkit]"
FILE = "pyproject.toml"


@dataclass(frozen=True)
class Project:
    """A generated project.

    Attributes:
        root: The project's folder.
        version: Version of the library and the template that it was generated from.
        task: The sample task that it started from: `fraud` or `mnist`.
        slug: Name of its archive and of its image.
        name: The project's name.
        description: The purpose of the model, in one line.
        author: The initiator.
        release: The project's own version.
    """

    root: Path
    version: str
    task: str
    slug: str
    name: str
    description: str
    author: str
    release: str

    @property
    def client(self) -> Path:
        """Folder with the sources of the compute package."""
        return self.root / "client"

    @property
    def archive(self) -> Path:
        """The compute package, which every site runs."""
        return self.root / f"{self.slug}.tar.gz"

    @property
    def seed(self) -> Path:
        """The seed model, from which the first round starts."""
        return self.root / "seed.npz"

    @property
    def data(self) -> Path:
        """Folder with the data of the trial sites."""
        return self.root / "data"

    @property
    def runs(self) -> Path:
        """Folder with the results of runs."""
        return self.root / "runs"


def current() -> Project:
    """Return the project that contains the working folder.

    Raises:
        ProjectError: There is none, or its record is incomplete.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if TABLE in _text(folder / FILE):
            return read_project(folder)
    raise ProjectError(
        f"{here}: expected a project in this folder or above it, with {TABLE} in its {FILE}, "
        "found none; go into the project's folder"
    )


def check_version() -> str:
    """Return a warning if the project and the library differ in the minor version, else "".

    Raises:
        ProjectError: They differ in the major version.
    """
    project = current()
    wanted, running = (version.split(".")[:2] for version in (project.version, __version__))
    if wanted[0] != running[0]:
        raise ProjectError(
            f"{project.root / FILE}: expected a project of fednkit {running[0]}, found one of "
            f"version {project.version}; run: make setup, or update the project: cruft update"
        )
    if wanted != running:
        return (
            f"this project needs fednkit {project.version}, but {__version__} runs; run: make setup"
        )
    return ""


@lru_cache
def read_project(root: Path) -> Project:
    """Return the project in a folder. Raises `ProjectError` if its record is incomplete."""
    file = root / FILE
    record = dict(_entries(file))
    names = [name for name in Project.__dataclass_fields__ if name != "root"]
    for name in names:
        if name not in record:
            raise ProjectError(f"{file}: expected {name} in {TABLE}, found none")
    return Project(root, **{name: record[name] for name in names})


def _entries(file: Path) -> Iterator[tuple[str, str]]:
    inside = False
    for number, line in enumerate(_text(file).splitlines(), start=1):
        entry = line.strip()
        if entry.startswith("["):
            inside = entry.partition("#")[0].rstrip() == TABLE
        elif inside and entry and not entry.startswith("#"):
            name, _, value = entry.partition("=")
            try:
                text, end = json.JSONDecoder().raw_decode(value.strip())
            except ValueError:
                text, end = None, 0
            rest = value.strip()[end:].strip()
            if not isinstance(text, str) or (rest and not rest.startswith("#")):
                raise ProjectError(
                    f'{file}, line {number}: expected {name.strip()} = "a text", found {entry}'
                )
            yield name.strip(), text


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
