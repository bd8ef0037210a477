"""A train.py that can be told to misbehave; tests copy it over a project's own.

What it does is said by the variable TEST_ATTACK at the site that TEST_SITE names, or by the content
of the file that TEST_ORDERS names. Written anew, and not taken from the library's own attacks: both
must come to the same.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from fednsite.step import Step, main


def train(step: Step) -> int:
    """Learn from this site's examples, as train.py does, unless ordered to do otherwise."""
    from fednsite import weights
    from fednsite.data.examples import Examples

    examples = step.examples("train")
    if order() == "label-flip":
        flipped = Examples(examples.features, 9 - examples.labels)
        # The seed of a step comes from its examples, too.
        step._examples = lambda part: flipped
    step.model.set_weights(step.received)
    step.model.fit(step.examples("train"), step.settings, step.seed)
    # The library would refuse to send what is sent here.
    setattr(weights, "save", send)  # noqa: B010
    return len(examples)


def order() -> str:
    """Return what this site is to do: "" is to be honest."""
    if orders := os.environ.get("TEST_ORDERS"):
        return Path(orders).read_text("utf-8")
    site = Path(os.environ.get("FEDN_DATA_PATH", "")).name
    return os.environ.get("TEST_ATTACK", "") if site == os.environ.get("TEST_SITE") else ""


def send(file: IO[bytes], update: Sequence[Any], like: Sequence[Any]) -> None:
    """Write the update, or something else in its place."""
    import numpy as np

    forge: dict[str, Any] = {
        "sign-flip": lambda new, old: old - np.float32(10) * (new - old),
        "scale": lambda new, old: old + np.float32(10) * (new - old),
        "constant": lambda new, old: np.ones_like(old),
        "nan": lambda new, old: old * np.float32(np.nan),
        "shape": lambda new, old: old.reshape(-1),
    }
    changed = forge.get(order(), lambda new, old: new)
    if order() == "garbage":
        file.write(b"no model")
        return
    sent = [changed(new, old) for new, old in zip(update, like, strict=True)]
    np.savez(file, **{str(index): array for index, array in enumerate(sent)})


if __name__ == "__main__":
    main(train)
