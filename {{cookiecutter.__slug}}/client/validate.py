"""Measure the global model on this site's data: python validate.py MODEL_IN VALIDATION_JSON."""

from pathlib import Path

from entry import run
from model import data, metrics, weights
from model.files import atomic_write, dump_json


def validate(model_in: Path, validation_json: Path) -> None:
    """Read MODEL_IN and write its metrics on the site's held-out examples as strict JSON."""
    dataset = data.load("test")

    # Imported late, so that a mistake in the data shows before the framework loads.
    from model.classifier import Classifier

    classifier = Classifier(data.input_shape(), data.num_classes())
    classifier.set_weights(weights.load(model_in, like=classifier.get_weights()))
    measured = metrics.evaluate(dataset.labels, classifier.predict(dataset.features))

    with atomic_write(validation_json) as file:
        file.write(dump_json({**measured, "num_examples": len(dataset)}))


if __name__ == "__main__":
    run(validate, "python validate.py MODEL_IN VALIDATION_JSON")
