"""Make the seed model: the untrained weights that the first round starts from."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fednsite import weights
from fednsite.files import write_atomically

from ..package.library import model_library
from ..project.config import current
from ..project.console import console
from ..project.errors import PackageError, ProjectError
from ..project.paths import shown

__all__ = ["Options", "check", "make", "run"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit seed`.

    Attributes:
        seed: Random seed; equal seeds give equal weights.
    """

    seed: int = 0


def run(options: Options) -> None:
    """Write the seed model, and print its size and hash."""
    make(options.seed)


def make(seed: int = 0) -> None:
    """Write seed.npz to the project's root, and print its size and hash."""
    with (
        console.status("loading the framework"),
        np.errstate(all="ignore"),
        model_library() as library,
    ):
        # NumPy's warnings are off: features that are not finite raise a clearer error.
        initial = library.new_classifier(seed).get_weights()
    buffer = io.BytesIO()
    weights.save(buffer, initial, like=initial)
    content = buffer.getvalue()
    file = current().seed
    write_atomically(file, content)
    parameters = sum(array.size for array in initial)
    print(
        f"{shown(file)}: {len(initial)} arrays, {parameters:,} parameters, {len(content):,} bytes"
    )
    print(f"SHA-256 {hashlib.sha256(content).hexdigest()}")


def check(file: Path) -> None:
    """Raise `ProjectError` unless a model file fits the model of the package."""
    is_seed = file == current().seed
    if is_seed and not file.exists():
        raise ProjectError(f"{shown(file)}: expected the seed model, found none; run: make seed")
    with model_library() as library:
        like = library.new_classifier().get_weights()
    try:
        weights.load(file, like)
    except PackageError as error:
        advice = "; make a new one: make seed" if is_seed else ""
        raise ProjectError(f"{error}{advice}") from None
