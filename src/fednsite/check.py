"""Check a site's data against the contract in schema.json: python -m fednsite.check FILE.

If updates get noise, also print the site's privacy terms and the state of its ledger.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from .data.location import metrics_minimum
from .errors import PackageError
from .privacy.accounting import epsilon
from .privacy.ledger import Ledger, ledger_path
from .privacy.mechanism import Terms
from .privacy.noise import MAX_SAFE_NUMBERS, choose_source

if TYPE_CHECKING:
    from .interfaces import Data

__all__ = ["check", "privacy_statement"]


def check(data: "Data", file: Path) -> str:
    """Read a file as training and validation do; return a one-line summary.

    Args:
        data: The module `model.data` of the package.
        file: The file, or a folder with a single data file.

    Raises:
        PackageError: The data breaks a rule; the message names it.
    """
    train, test = data.load("train", file), data.load("test", file)
    counts = Counter([*train.labels.tolist(), *test.labels.tolist()])
    classes = data.SCHEMA.label.choices
    shares = ", ".join(f"{classes[index]}: {counts[index]:,}" for index in sorted(counts))
    return (
        f"{file}: ok, {len(train):,} examples to train on and {len(test):,} held out "
        f"({data.SCHEMA.label.name} {shares})"
    )


def privacy_statement() -> str:
    """Return the current privacy terms of the site's updates and the state of its ledger.

    Returns:
        One line; empty if updates get no noise.

    Raises:
        PackageError: An environment variable of the site is invalid, or it demands safe noise
            where that is impossible; the message names the variable.
    """
    from model.settings import Settings

    metrics_minimum()
    terms = Terms.agreed(Settings(), os.environ)
    if terms is None:
        return ""
    ledger = Ledger(ledger_path())
    updates = ledger.read()
    # The model's size is not known before the framework loads.
    source = (
        f"from OpenDP for models of up to {MAX_SAFE_NUMBERS:,} numbers"
        if choose_source(0, os.environ).is_safe
        else "in floating point, which no proof covers"
    )
    return (
        f"privacy: noise of at least {terms.noise:g} times a clip of {terms.clip:g}, {source}; "
        f"epsilon up to {terms.budget:g} at delta {terms.delta:g}; so far {sum(updates.values())} "
        f"updates, {ledger.read_safe_updates()} of them with noise from OpenDP, epsilon "
        f"{epsilon(updates, terms.delta):.3g}: {ledger.path}"
    )


def _data() -> "Data":
    """Import the package's `model.data` from the working folder."""
    try:
        from model import data
    except ModuleNotFoundError as error:
        if error.name != "model":
            raise
        raise PackageError(
            f"{Path.cwd()}: Python finds no `model` here; run this in the package's folder, and "
            "unset PYTHONSAFEPATH"
        ) from None
    module: Data = data
    return module


def main() -> None:
    """Check the file on the command line; exit with 1 and one line on an error."""
    if len(sys.argv) != 2:
        print("usage: python -m fednsite.check FILE", file=sys.stderr)
        raise SystemExit(2)
    try:
        data = _data()
        print(check(data, Path(sys.argv[1])))
        os.environ["FEDN_DATA_PATH"] = sys.argv[1]
        if statement := privacy_statement():
            print(statement)
    except (PackageError, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
