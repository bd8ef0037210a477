"""Tell whether a site's data keeps the contract of schema.json: python check_data.py FILE.

And what the site has set for its privacy, where noise is asked for at all.
"""

import os
import sys
from collections import Counter
from pathlib import Path

from model.errors import PackageError
from model.ledger import Ledger, ledger_path
from model.privacy import Terms, epsilon
from model.settings import Settings
from model.site import metrics_minimum


def check(file: Path) -> str:
    """Read the file as training and validation will, and return what is in it, in one line.

    file: of the kind that the package reads, or a folder that holds just one. Raises
    `PackageError` that names the rule which the data breaks.
    """
    # Here, because the contract itself may be wrong, which an import finds.
    from model import data

    train, test = data.load("train", file), data.load("test", file)
    counts = Counter([*train.labels.tolist(), *test.labels.tolist()])
    classes = data.SCHEMA.label.choices
    shares = ", ".join(f"{classes[index]}: {counts[index]:,}" for index in sorted(counts))
    return (
        f"{file}: ok, {len(train):,} examples to train on and {len(test):,} held out "
        f"({data.SCHEMA.label.name} {shares})"
    )


def privacy() -> str:
    """Say under which terms an update would leave the site now, and what its ledger holds.

    Empty where there would be no noise. Raises `PackageError` for what the site has set wrong.
    """
    metrics_minimum()
    terms = Terms.agreed(Settings(), os.environ)
    if terms is None:
        return ""
    ledger = Ledger(ledger_path())
    updates = ledger.read()
    return (
        f"privacy: noise of at least {terms.noise:g} times a clip of {terms.clip:g}, epsilon up to "
        f"{terms.budget:g} at delta {terms.delta:g}; so far {sum(updates.values())} updates, "
        f"epsilon {epsilon(updates, terms.delta):.3g}: {ledger.path}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python check_data.py FILE", file=sys.stderr)
        raise SystemExit(2)
    try:
        print(check(Path(sys.argv[1])))
        os.environ["FEDN_DATA_PATH"] = sys.argv[1]
        if words := privacy():
            print(words)
    except (PackageError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
