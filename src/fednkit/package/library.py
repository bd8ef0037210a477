"""Import the project's model library as it is shipped in the package."""

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fednsite.data.examples import Array
from fednsite.interfaces import Classifier, Data, Metrics, new_classifier
from fednsite.settings import BaseSettings
from fednsite.step import Step

from ..project.config import current
from ..project.errors import PackageError, ProjectError
from ..project.paths import shown
from .archive import library_sources, package_files

__all__ = ["ModelLibrary", "check_library", "load_library", "model_library"]


@dataclass(frozen=True)
class ModelLibrary:
    """The parts of the package, imported from the shipped files.

    Attributes:
        folder: The unpacked package.
        data: The module `model.data`.
        evaluate: The function of `model.metrics` that returns metrics for labels and probabilities.
        settings: The class `Settings` of `model.settings`.
        train: The function `train` of `train.py`.
    """

    folder: Path
    data: Data
    evaluate: Callable[[Array, Array], Metrics]
    settings: type[BaseSettings]
    train: Callable[[Step], int]

    def new_classifier(self, seed: int = 0) -> Classifier:
        """Import the framework and return an untrained model."""
        return new_classifier(self.data, seed)


@contextmanager
def model_library() -> Iterator[ModelLibrary]:
    """Write the shipped files to a temporary folder, and import the model library from there.

    Yields:
        The model library.

    Raises:
        PackageError: The schema or the settings of the package are invalid.
        ProjectError: A file must not be shipped, or the owner's code raised an exception.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for member, content in package_files(current().client).items():
            path = folder / member
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        try:
            with _owner_errors(folder):
                yield load_library(folder)
        finally:
            sys.path.remove(name)
            # A later call must import from its own folder.
            for imported, module in list(sys.modules.items()):
                if (getattr(module, "__file__", None) or "").startswith(name):
                    del sys.modules[imported]


@contextmanager
def _owner_errors(folder: Path) -> Iterator[None]:
    """Turn exceptions of the owner's code into one line that names the file in client/."""
    try:
        yield
    except (PackageError, OSError):
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename.startswith(f"{folder}{os.sep}")]
        if isinstance(error, SyntaxError) and (error.filename or "").startswith(str(folder)):
            file, line = str(error.filename), error.lineno
        elif own:
            file, line = own[-1].filename, own[-1].lineno
        else:
            raise
        where = shown(current().client / Path(file).relative_to(folder))
        cause = " ".join(str(error).split()).replace(f"{folder}{os.sep}", "")
        raise ProjectError(f"{where}, line {line}: {type(error).__name__}: {cause}") from None


def load_library(folder: Path) -> ModelLibrary:
    """Import the model library of an unpacked package, which stays on the import path.

    Raises:
        ProjectError: The `fednsite` of the package differs from the installed one.
    """
    sys.path.insert(0, str(folder))
    check_library(folder)
    return ModelLibrary(
        folder,
        cast(Data, importlib.import_module("model.data")),
        importlib.import_module("model.metrics").evaluate,
        importlib.import_module("model.settings").Settings,
        importlib.import_module("train").train,
    )


def check_library(folder: Path) -> None:
    """Raise `ProjectError` unless the `fednsite` of a package equals the installed one.

    A process that has imported `fednkit` keeps using its `fednsite`, despite the import path.
    """
    # Without bytecode, which another process may be writing at the same time.
    shipped = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (folder / "fednsite").rglob("*")
        if "__pycache__" not in path.parts and path.is_file()
    }
    if shipped != library_sources():
        raise ProjectError(
            f"{folder}: its fednsite differs from that of the installed fednkit; run: make package"
        )
