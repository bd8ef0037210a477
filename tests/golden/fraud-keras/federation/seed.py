"""Make the seed model: untrained weights, from which the first round starts."""

import argparse
import hashlib
import io
from pathlib import Path

from .package import imported_package, write_atomically
from .project import SEED, ProjectError, shown
from .show import console


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation seed`."""
    parser.add_argument(
        "--seed", type=int, default=0, help="equal seeds give equal weights (default 0)"
    )


def run(options: argparse.Namespace) -> None:
    """Do what the command says."""
    make(options.seed)


def make(seed: int = 0) -> None:
    """Write seed.npz into the project's root and say what is in it."""
    with console.status("loading the framework"), imported_package():
        from model import data, weights
        from model.classifier import Classifier

        initial = Classifier(data.input_shape(), data.num_classes(), seed).get_weights()
        buffer = io.BytesIO()
        weights.save(buffer, initial, like=initial)
    content = buffer.getvalue()
    write_atomically(SEED, content)
    parameters = sum(array.size for array in initial)
    print(
        f"{shown(SEED)}: {len(initial)} arrays, {parameters:,} parameters, {len(content):,} bytes"
    )
    print(f"SHA-256 {hashlib.sha256(content).hexdigest()}")


def check(file: Path = SEED) -> None:
    """Raise `ProjectError` unless a model file fits the model of the package."""
    if file == SEED and not SEED.exists():
        raise ProjectError(f"{shown(SEED)}: expected the seed model, found none; run: make seed")
    with imported_package():
        from model import data, weights
        from model.classifier import Classifier
        from model.errors import PackageError

        like = Classifier(data.input_shape(), data.num_classes()).get_weights()
        try:
            weights.load(file, like)
        except PackageError as error:
            mend = "; make a new one: make seed" if file == SEED else ""
            raise ProjectError(f"{error}{mend}") from None
