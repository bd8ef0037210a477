"""A simulation's worker runs the package's train.py, with all that a site would have."""

from pathlib import Path

import numpy as np
from library import add_fednsite, importable, write_package

from fednkit.simulation._clients import Clients
from fednkit.simulation._workers import Worker

# Early stopping looks at the held-out examples; statistics at all.
TRAIN = """
from fednsite.step import Step


def train(step: Step) -> int:
    parts = [len(step.examples(part)) for part in ("train", "test", "all")]
    assert parts == [3, 2, 5], parts
    assert step.examples("test").labels.tolist() == [1, 0]
    return parts[0]
"""


def test_training_may_look_at_every_part_of_a_clients_examples(tmp_path: Path) -> None:
    package = add_fednsite(write_package(tmp_path / "package"))
    (package / "train.py").write_text(TRAIN, "utf-8")
    store = tmp_path / "store"
    store.mkdir()
    labels = np.array([0, 0, 1, 1, 0, 0, 1, 0, 1, 0])
    bounds = np.array([[0, 3, 5], [5, 8, 10]])
    Clients(np.zeros((10, 11), np.float32), labels, bounds).save(store)
    with importable(package):
        worker = Worker(str(package), str(store))
        weights = worker.classifier.get_weights()
        assert worker.train(0, weights, {})[1] == 3
