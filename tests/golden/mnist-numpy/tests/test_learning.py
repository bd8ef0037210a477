"""A federation of four sites, in this process: does the model learn?"""

from pathlib import Path

import numpy as np

from model import data, metrics
from model.classifier import Classifier
from model.dataset import Array
from model.seeding import training_seed
from model.settings import Settings

ROUNDS = 3


def test_federated_averaging_beats_the_seed_model(sites: list[Path]) -> None:
    settings = Settings()
    train = [data.load("train", site) for site in sites]
    test = [data.load("test", site) for site in sites]
    classifier = Classifier(data.input_shape(), data.num_classes())

    def headline(weights: list[Array]) -> float:
        classifier.set_weights(weights)
        measured = [metrics.evaluate(t.labels, classifier.predict(t.features)) for t in test]
        return float(np.mean([next(iter(metric.values())) for metric in measured]))

    weights = classifier.get_weights()
    before = headline(weights)
    share = np.array([len(site) for site in train], dtype=np.float32)
    share /= share.sum()
    for _ in range(ROUNDS):
        updates = []
        for site in train:
            seed = training_seed(settings.seed, weights, [site.features, site.labels])
            classifier.set_weights(weights)
            classifier.fit(site, settings, seed)
            updates.append(classifier.get_weights())
        weights = [
            np.einsum("s,s...->...", share, np.stack(arrays))
            for arrays in zip(*updates, strict=True)
        ]
    assert headline(weights) > before
