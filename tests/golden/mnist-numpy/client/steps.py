"""What the entry points do: train, validate and predict, from a model file to an output file."""

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model import data, metrics, weights
from model.dataset import Dataset, Part
from model.errors import PackageError
from model.files import atomic_write, dump_json, read_json_object, sidecar
from model.ledger import Ledger, ledger_path
from model.privacy import Terms, noised
from model.seeding import training_seed
from model.settings import Settings
from model.site import data_path, metrics_minimum, state

if TYPE_CHECKING:
    from model.classifier import Classifier


class Site:
    """The site's data and the model, made when first asked for and kept for the next step."""

    def __init__(self) -> None:
        self._classifier: Classifier | None = None
        self._datasets: dict[Part, tuple[object, Dataset]] = {}

    def dataset(self, part: Part) -> Dataset:
        """Return the site's examples; they are read again when the data changed on disk."""
        found = state(data_path())
        if part not in self._datasets or found is None or self._datasets[part][0] != found:
            dataset = data.load(part)
            # Steps share them, so that none may change them.
            for array in (dataset.features, dataset.labels):
                array.setflags(write=False)
            self._datasets[part] = found, dataset
        return self._datasets[part][1]

    def classifier(self) -> "Classifier":
        """Return the model, with whatever weights it was left with."""
        if self._classifier is None:
            # Imported late, so that a mistake in settings or data shows before the framework loads.
            # Its million objects stay: Python need not look for garbage among them while they
            # come, nor ever after. For TensorFlow that is a third of its start.
            gc.disable()
            try:
                from model.classifier import Classifier
            finally:
                gc.freeze()
                gc.enable()

            self._classifier = Classifier(data.input_shape(), data.num_classes())
        return self._classifier


def train(model_in: Path, model_out: Path, site: Site) -> None:
    """Read MODEL_IN, learn from the site's training examples, write MODEL_OUT.

    Settings that the server sends lie in MODEL_IN-metadata. MODEL_OUT-metadata tells the
    server how many examples the update stands for, and under differential privacy by which
    terms it came and what they have added up to.
    """
    sent = sidecar(model_in)
    settings = Settings.override(read_json_object(sent) if sent.exists() else {})
    terms, ledger = Terms.agreed(settings, os.environ), Ledger(ledger_path())
    dataset, classifier = site.dataset("train"), site.classifier()
    received = weights.load(model_in, like=classifier.get_weights())
    update = received
    told: dict[str, Any] = {"num_examples": len(dataset)}
    if terms is None or terms.allow(ledger.read()):
        classifier.set_weights(received)
        seed = training_seed(settings.seed, received, [dataset.features, dataset.labels])
        classifier.fit(dataset, settings, seed)
        update = classifier.get_weights()
        weights.check(update, like=received, where="the trained model")
    if terms:
        # On disk before the update is: see ledger.py.
        told["privacy"] = ledger.charge(terms)
        if told["privacy"]["exhausted"]:
            # FEDn's client would end with a step that fails, and an average needs an example.
            update, told["num_examples"] = received, 1
            print(f"privacy: the budget is used up, the model goes back as it came: {ledger.path}")
        else:
            update = noised(received, update, terms)

    with atomic_write(model_out) as model, atomic_write(sidecar(model_out)) as metadata:
        weights.save(model, update, like=received)
        metadata.write(dump_json(told))


def validate(model_in: Path, validation_json: Path, site: Site) -> None:
    """Read MODEL_IN and write its metrics on the site's held-out examples as strict JSON.

    There are none where a site has too few of them: each would show in the metrics.
    """
    minimum = metrics_minimum()
    dataset, classifier = site.dataset("test"), site.classifier()
    classifier.set_weights(weights.load(model_in, like=classifier.get_weights()))
    measured: dict[str, float] = {}
    if len(dataset) >= minimum:
        measured = metrics.evaluate(dataset.labels, classifier.predict(dataset.features))

    with atomic_write(validation_json) as file:
        file.write(dump_json({**measured, "num_examples": len(dataset)}))


def predict(model_in: Path, predictions_json: Path, site: Site) -> None:
    """Read MODEL_IN and write each example's class probabilities, in the order of the file."""
    dataset, classifier = site.dataset("all"), site.classifier()
    classifier.set_weights(weights.load(model_in, like=classifier.get_weights()))
    probabilities = classifier.predict(dataset.features)

    with atomic_write(predictions_json) as file:
        file.write(dump_json({"probabilities": probabilities.tolist()}))


STEPS: dict[str, Callable[[Path, Path, Site], None]] = {
    "train": train,
    "validate": validate,
    "predict": predict,
}


def perform(step: str, model_in: str, out: str, site: Site) -> int:
    """Do a step and return its exit code: 1, with a line on stderr, for a person's mistake."""
    try:
        # Finite weights can still be so large that training leaves float32. What comes of it is
        # checked when it is written, so that a page of warnings says nothing more.
        with np.errstate(over="ignore", invalid="ignore"):
            STEPS[step](Path(model_in), Path(out), site)
    except (PackageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
