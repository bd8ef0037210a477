"""Train the global model on this site's data: python train.py MODEL_IN MODEL_OUT."""

from pathlib import Path

from entry import run
from model import data, weights
from model.files import atomic_write, dump_json, read_json_object, sidecar
from model.seeding import training_seed
from model.settings import Settings


def train(model_in: Path, model_out: Path) -> None:
    """Read MODEL_IN, learn from the site's training examples, write MODEL_OUT.

    Settings that the server sends lie in MODEL_IN-metadata. MODEL_OUT-metadata tells the
    server how many examples the update stands for.
    """
    sent = sidecar(model_in)
    settings = Settings.override(read_json_object(sent) if sent.exists() else {})
    dataset = data.load("train")

    # Imported late, so that a mistake in settings or data shows before the framework loads.
    from model.classifier import Classifier

    classifier = Classifier(data.input_shape(), data.num_classes())
    initial = classifier.get_weights()
    received = weights.load(model_in, like=initial)
    classifier.set_weights(received)
    seed = training_seed(settings.seed, received, [dataset.features, dataset.labels])
    classifier.fit(dataset, settings, seed)

    with atomic_write(model_out) as model, atomic_write(sidecar(model_out)) as metadata:
        weights.save(model, classifier.get_weights(), like=initial)
        metadata.write(dump_json({"num_examples": len(dataset)}))


if __name__ == "__main__":
    run(train, "python train.py MODEL_IN MODEL_OUT")
