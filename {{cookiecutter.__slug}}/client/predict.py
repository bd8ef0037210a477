"""Apply the global model to this site's data: python predict.py MODEL_IN PREDICTIONS_JSON."""

from pathlib import Path

from entry import run
from model import data, weights
from model.files import atomic_write, dump_json


def predict(model_in: Path, predictions_json: Path) -> None:
    """Read MODEL_IN and write each example's class probabilities, in the order of the file."""
    dataset = data.load("all")

    # Imported late, so that a mistake in the data shows before the framework loads.
    from model.classifier import Classifier

    classifier = Classifier(data.input_shape(), data.num_classes())
    classifier.set_weights(weights.load(model_in, like=classifier.get_weights()))
    probabilities = classifier.predict(dataset.features)

    with atomic_write(predictions_json) as file:
        file.write(dump_json({"probabilities": probabilities.tolist()}))


if __name__ == "__main__":
    run(predict, "python predict.py MODEL_IN PREDICTIONS_JSON")
