"""The site's side of a compute package: what runs where the data is, and ships as source.

An entry point such as `train.py` imports `fednsite.step` and nothing else at its top. The model
library, the package `model` beside the entry points, is found by that name:

- `model.classifier.Classifier(input_shape, num_classes, seed=0)` with `get_weights`,
  `set_weights`, `fit` and `predict`;
- `model.data` with `SCHEMA`, `load(part, path=None)`, `input_shape()` and `num_classes()`;
- `model.metrics.evaluate(labels, probabilities)`;
- `model.settings.Settings`, a `fednsite.settings.BaseSettings`.

Nothing here imports FEDn or `fednkit`, and importing this package imports nothing.
"""

__all__ = [
    "check",
    "data",
    "errors",
    "execution",
    "files",
    "interfaces",
    "metrics",
    "privacy",
    "settings",
    "step",
    "weights",
    "worker",
]
