"""Tell whether a site's data keeps the contract of schema.json: python check_data.py FILE."""

import sys
from collections import Counter
from pathlib import Path

from model.errors import PackageError


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


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python check_data.py FILE", file=sys.stderr)
        raise SystemExit(2)
    try:
        print(check(Path(sys.argv[1])))
    except (PackageError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
