"""Do the minimum of a step: import the framework, load the data, fit or predict, save.

    python bare_work.py train|validate IN OUT

`entry_points.py` copies this file into an unpacked package and runs it there.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from model import data, metrics
from model.classifier import Classifier
from model.settings import Settings

step, model_in, out = sys.argv[1:]
dataset = data.load("train" if step == "train" else "test")
classifier = Classifier(data.input_shape(), data.num_classes())
with np.load(model_in) as arrays:
    classifier.set_weights([arrays[key] for key in arrays.files])
with Path(out).open("wb") as file:
    if step == "train":
        classifier.fit(dataset, Settings(), 0)
        weights = enumerate(classifier.get_weights())
        keyed: dict[str, Any] = {str(number): array for number, array in weights}
        np.savez(file, **keyed)
    else:
        measured = metrics.evaluate(dataset.labels, classifier.predict(dataset.features))
        file.write(json.dumps(measured).encode())
