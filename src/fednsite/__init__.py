"""The site's part of a compute package, which ships as source and runs next to the data.

An entry point such as `train.py` imports only `fednsite.step` at the top. The model library is the
package `model` in the same folder:

- `model.classifier.Classifier(input_shape, num_classes, seed=0)` with `get_weights`,
  `set_weights`, `fit` and `predict`;
- `model.data` with `SCHEMA`, `load(part, path=None)`, `input_shape()` and `num_classes()`;
- `model.metrics.evaluate(labels, probabilities)`;
- `model.settings.Settings`, a `fednsite.settings.BaseSettings`.

No module here imports FEDn or `fednkit`, and importing this package imports no other module.
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
