"""A small compute package for tests of the library: the template's own files, nothing installed."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np

import fednsite
from fednkit import __version__
from fednsite.interfaces import Data
from fednsite.step import Step

TEMPLATE = Path(__file__).parents[1]
CLIENT = TEMPLATE / "{{cookiecutter.__slug}}" / "client"
TASK = TEMPLATE / "templates" / "tasks" / "fraud"
CLASSIFIER = TEMPLATE / "templates" / "frameworks" / "numpy" / "classifier.py"
ENTRY_POINTS = "train", "validate", "predict"
HEADER = (
    "amount,hour,weekend,customer_count_7d,customer_mean_7d,terminal_count_7d,terminal_risk_7d,"
    "region,fraud"
)


class Package(NamedTuple):
    """A compute package that is imported from its folder."""

    folder: Path
    data: Data
    train: Callable[[Step], int]
    validate: Callable[[Step], dict[str, float]]
    predict: Callable[[Step], Any]


def write_package(folder: Path) -> Path:
    """Write the files of client/ for the fraud task, with the classifier in plain NumPy."""
    model = folder / "model"
    model.mkdir(parents=True)
    for name in ("fedn.yaml", *(f"{entry_point}.py" for entry_point in ENTRY_POINTS)):
        shutil.copy(CLIENT / name, folder)
    for file in (
        CLIENT / "model" / "__init__.py",
        CLIENT / "model" / "settings.py",
        *(TASK / name for name in ("data.py", "metrics.py", "schema.json")),
        CLASSIFIER,
    ):
        shutil.copy(file, model)
    return folder


def add_fednsite(folder: Path) -> Path:
    """Put the library beside the entry points, as the archive has it."""
    source = Path(str(fednsite.__file__)).parent
    shutil.copytree(source, folder / "fednsite", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def write_site(folder: Path, seed: int = 0, rows: int = 200) -> Path:
    """Write a site's table for the package: made-up payments, a fifth of them fraud."""
    random = np.random.default_rng(seed)
    regions = ["north", "east", "south", "west"]
    lines = [
        f"{random.uniform(1, 200):.2f},{random.uniform(0, 24):.2f},{row % 7 > 4},"
        f"{random.integers(0, 30)},{random.uniform(0, 100):.2f},{random.integers(0, 30)},"
        f"{random.uniform(0, 1):.4f},{random.choice(regions)},{int(row % 5 == 0)}"
        for row in range(rows)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "transactions.csv"
    file.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return file


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let the block import a package from its folder; afterwards all is as it was before."""

    def take_out() -> dict[str, ModuleType]:
        roots = {*ENTRY_POINTS, "model"}
        names = [name for name in sys.modules if name.partition(".")[0] in roots]
        return {name: sys.modules.pop(name) for name in names}

    before = take_out()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        take_out()
        sys.modules.update(before)


@contextmanager
def imported(folder: Path) -> Iterator[Package]:
    """Import a package for the block."""
    with importable(folder):
        functions = {name: getattr(import_module(name), name) for name in ENTRY_POINTS}
        yield Package(folder, cast(Data, import_module("model.data")), **functions)


def write_project(root: Path, **changed: str) -> Path:
    """Write the record of a project, which `fednkit.project.config.current` finds."""
    record = {
        "version": __version__,
        "task": "fraud",
        "slug": "fraud-detection",
        "name": "Fraud Detection",
        "description": "Finds fraud.",
        "author": "A. Author",
        "release": "0.1.0",
    }
    root.mkdir(parents=True, exist_ok=True)
    # What the template's macro writes: quotes and backslashes escaped, all else as it is.
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"')
        for name, value in (record | changed).items()
    }
    lines = [f'{name} = "{value}"' for name, value in escaped.items()]
    text = "\n".join(["[tool.fednkit]", *lines, "", "[tool.ruff]", "line-length = 100", ""])
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    return root
