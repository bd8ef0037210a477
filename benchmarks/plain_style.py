"""An entry point in the style of FEDn's examples, which starts from scratch in every call.

    python plain_style.py train|validate IN OUT

It imports FEDn, builds and compiles the model, reads the table and trains. It uses the model and
the training loop of the generated project, so that only the code around them differs.
`entry_points.py` copies this file into an unpacked package and runs it there.
"""

import os
import sys

import numpy as np
import polars as pl
from fedn.utils.helpers.helpers import get_helper, save_metadata, save_metrics

from fednsite.data.examples import Examples
from model.classifier import Classifier
from model.metrics import evaluate
from model.settings import Settings

helper = get_helper("numpyhelper")


def load_data(is_train: bool) -> Examples:
    """Read the table, standardize its columns, and hold out one example in five."""
    table = pl.read_csv(os.environ["FEDN_DATA_PATH"] + "/transactions.csv").to_dummies("region")
    labels = table["fraud"].cast(pl.Int64).to_numpy()
    features = table.drop("fraud").cast(pl.Float32).to_numpy()
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    rows = (np.arange(len(labels)) % 5 > 0) == is_train
    return Examples(features[rows], labels[rows])


def load_parameters(path: str, width: int) -> Classifier:
    """Build the model and set the global model's parameters."""
    classifier = Classifier((width,), 2)
    classifier.set_weights(helper.load(path))
    return classifier


def train(in_model_path: str, out_model_path: str) -> None:
    """Train the global model on the site's data."""
    dataset = load_data(is_train=True)
    classifier = load_parameters(in_model_path, dataset.features.shape[1])
    classifier.fit(dataset, Settings(), seed=0)
    save_metadata({"num_examples": len(dataset)}, out_model_path)
    helper.save(classifier.get_weights(), out_model_path)


def validate(in_model_path: str, out_json_path: str) -> None:
    """Evaluate the global model on the site's data."""
    dataset = load_data(is_train=False)
    classifier = load_parameters(in_model_path, dataset.features.shape[1])
    save_metrics(evaluate(dataset.labels, classifier.predict(dataset.features)), out_json_path)


if __name__ == "__main__":
    {"train": train, "validate": validate}[sys.argv[1]](sys.argv[2], sys.argv[3])
