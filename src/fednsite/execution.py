"""Run an entry point: read and check its input, call it, and write its output atomically.

The entry points, the resident worker, the simulation and the conformance checks all train with
`train_update` and the function of `train.py`.
"""

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import weights
from ._step import Step
from .data.examples import Array, Examples, Part
from .data.location import data_path, file_states, metrics_minimum
from .errors import PackageError
from .files import atomic_write, dump_json, read_json_object, sidecar
from .interfaces import Classifier, Data, Metrics, new_classifier
from .privacy.ledger import Ledger, ledger_path
from .privacy.mechanism import Terms, noised
from .privacy.noise import choose_source

__all__ = ["Site", "execute", "train_update"]


class Site:
    """The site's data and the model, loaded on first use and kept for the next step."""

    def __init__(self) -> None:
        self._model: Classifier | None = None
        self._examples: dict[Part, tuple[object, Examples]] = {}

    def examples(self, part: Part) -> Examples:
        """Return the site's examples, read again if the data changed on disk."""
        states = file_states(data_path())
        kept = self._examples.get(part)
        if kept is None or states is None or kept[0] != states:
            examples = _data().load(part)
            # Read-only, because all steps share them.
            for array in (examples.features, examples.labels):
                array.setflags(write=False)
            kept = self._examples[part] = states, examples
        return kept[1]

    def model(self) -> Classifier:
        """Return the model; its weights may be left over from an earlier step.

        The framework is imported late, so that mistakes in the settings or the data are reported
        first.
        """
        if self._model is None:
            self._model = new_classifier(_data())
        return self._model


def train_update(train: Callable[[Step], int], step: Step) -> tuple[list[Array], int]:
    """Call the function of `train.py`; return the update and its number of training examples.

    Raises:
        PackageError: The trained model's shapes or dtypes differ from the received model's, its
            values are not finite, or the function did not return a number of examples.
    """
    examples = train(step)
    if type(examples) is not int or examples < 1:
        raise PackageError(f"train: expected a number of examples, 1 or more, found {examples!r}")
    update = step.model.get_weights()
    weights.check(update, like=step.received, where="the trained model")
    return update, examples


def execute(entry_point: Callable[[Step], Any], model_in: str, out: str, site: Site) -> int:
    """Run an entry point and return its exit code: 1, with a line on stderr, on a mistake.

    Args:
        entry_point: The function `train`, `validate` or `predict`.
        model_in: The path of the global model.
        out: The path of the file to write.
        site: The site's data and model.
    """
    run = RUNNERS[entry_point.__name__]
    try:
        # Training can overflow float32. Results are checked before they are written, so NumPy's
        # warnings add nothing.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            run(entry_point, Path(model_in), Path(out), site)
    except (PackageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _train(train: Callable[[Step], int], model_in: Path, model_out: Path, site: Site) -> None:
    """Write the update to MODEL_OUT, and its metadata to MODEL_OUT-metadata.

    The server's settings are in MODEL_IN-metadata. With differential privacy, the metadata also
    contain the terms of the update and the site's total privacy loss so far.
    """
    sent = sidecar(model_in)
    settings = _settings(read_json_object(sent) if sent.exists() else {})
    terms, ledger = Terms.agreed(settings, os.environ), Ledger(ledger_path())
    step = _step("train", model_in, settings, site)
    if terms:
        source = choose_source(sum(array.size for array in step.received), os.environ)
    update: Sequence[Array] = step.received
    metadata: dict[str, Any] = {"num_examples": len(step.examples("train"))}
    if terms is None or terms.allow(ledger.read()):
        update, metadata["num_examples"] = train_update(train, step)
    if terms:
        # The ledger must be on disk before the update: see ledger.py.
        metadata["privacy"] = ledger.charge(terms, source)
        if metadata["privacy"]["exhausted"]:
            # A failed step would stop FEDn's client. An average needs at least one example.
            update, metadata["num_examples"] = step.received, 1
            print(f"privacy: the budget is used up; the model is returned unchanged: {ledger.path}")
        else:
            update = noised(step.received, update, terms, source.add)

    with atomic_write(model_out) as file, atomic_write(sidecar(model_out)) as described:
        weights.save(file, update, like=step.received)
        described.write(dump_json(metadata))


def _validate(
    validate: Callable[[Step], Metrics], model_in: Path, validation_json: Path, site: Site
) -> None:
    """Write the metrics on the site's held-out examples as strict JSON.

    With too few held-out examples, no metrics are written: they would reveal single examples.
    """
    minimum = metrics_minimum()
    step = _step("test", model_in, _settings({}), site)
    examples = len(step.examples("test"))
    measured = validate(step) if examples >= minimum else {}

    with atomic_write(validation_json) as file:
        file.write(dump_json({**measured, "num_examples": examples}))


def _predict(
    predict: Callable[[Step], Array], model_in: Path, predictions_json: Path, site: Site
) -> None:
    """Write the class probabilities of each example as JSON, in file order."""
    probabilities = predict(_step("all", model_in, _settings({}), site))

    with atomic_write(predictions_json) as file:
        file.write(dump_json({"probabilities": np.asarray(probabilities).tolist()}))


def _step(part: Part, model_in: Path, settings: Any, site: Site) -> Step:
    """Return a step; read its examples before the framework is imported."""
    # A step reads its data only once, even if it changes on disk meanwhile.
    examples = cache(site.examples)
    examples(part)
    model = site.model()
    received = weights.load(model_in, like=model.get_weights())
    return Step(model, received, settings, examples)


def _data() -> Data:
    from model import data

    module: Data = data
    return module


def _settings(sent: dict[str, Any]) -> Any:
    from model.settings import Settings

    return Settings.override(sent)


RUNNERS: dict[str, Callable[..., None]] = {
    "train": _train,
    "validate": _validate,
    "predict": _predict,
}
