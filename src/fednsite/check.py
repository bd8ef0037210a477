"""Check whether a site's data keeps the contract of schema.json: python -m fednsite.check FILE.

Where noise is asked for, also state the site's terms and what its ledger holds.
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
    """Read a file as training and validation will; return one line about what is in it.

    Args:
        data: The module `model.data` of the package.
        file: The file, or a folder that holds just one.

    Raises:
        PackageError: The data breaks a rule, which is named.
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
    """Return under which terms an update would leave the site now, and what its ledger holds.

    Returns an empty text where there would be no noise.

    Raises:
        PackageError: A variable of the site is wrong, or it demands safe noise that is impossible.
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
    """Import the package's `model.data`, which reads the contract, from the working folder."""
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
    """Check the file that the command line names; exit with 1 and one line for a mistake."""
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
