"""Measure the metrics of federated averaging over several sites, with a generated project.

Runs in the project's environment, with all sites in one process. For the seed model and each round,
prints a JSON line with the mean over the sites of the metrics on their held-out examples.

    PROJECT/.venv/bin/python benchmarks/learning.py PROJECT [ROUNDS]
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np


def always(examples: Any, part: str) -> Any:
    """Return a site's examples for any part."""
    return examples


def main(project: Path, rounds: int) -> None:
    """Average the updates of all sites in PROJECT/data in each round."""
    sys.path.insert(0, str(project / "client"))
    from train import train as train_step

    from fednsite.execution import train_update
    from fednsite.step import Step
    from model import data, metrics
    from model.classifier import Classifier
    from model.settings import Settings

    settings = Settings()
    sites = sorted((project / "data").glob("site-*"))
    train = [data.load("train", site) for site in sites]
    test = [data.load("test", site) for site in sites]
    classifier = Classifier(data.input_shape(), data.num_classes())
    share = np.array([len(site) for site in train], dtype=np.float32)
    share /= share.sum()
    weights = classifier.get_weights()
    for number in range(rounds + 1):
        classifier.set_weights(weights)
        measured = [metrics.evaluate(t.labels, classifier.predict(t.features)) for t in test]
        means = {name: float(np.mean([one[name] for one in measured])) for name in measured[0]}
        print(json.dumps({"round": number, "sites": len(sites), **means}), flush=True)
        if number == rounds:
            return
        updates = []
        for site in train:
            step = Step(classifier, weights, settings, partial(always, site))
            updates.append(train_update(train_step, step)[0])
        weights = [
            np.einsum("s,s...->...", share, np.stack(arrays))
            for arrays in zip(*updates, strict=True)
        ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10)
