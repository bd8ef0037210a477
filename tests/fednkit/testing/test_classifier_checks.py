"""Each check of a classifier finds the mistake that it is for, and passes what has none."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from library import importable, write_package

from fednkit.testing import Check, classifier_checks, parametrize_with_checks

Patch = dict[str, Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The template's own classifier in plain NumPy."""
    with importable(write_package(tmp_path_factory.mktemp("package"))):
        yield import_module("model.classifier").Classifier


def in_float64(good: Any) -> Patch:
    return {"get_weights": lambda self: [w.astype(float) for w in good.get_weights(self)]}


def without_its_seed(good: Any) -> Patch:
    return {"__init__": lambda self, shape, classes, seed=0: good.__init__(self, shape, classes)}


def other_values(good: Any) -> Patch:
    return {"get_weights": lambda self: [weights + 1 for weights in good.get_weights(self)]}


def its_own_arrays(good: Any) -> Patch:
    return {"get_weights": lambda self: [array for layer in self.layers for array in layer]}


def scores(good: Any) -> Patch:
    return {"predict": lambda self, features: 2 * good.predict(self, features)}


def one_column(good: Any) -> Patch:
    def predict(self: Any, features: Any) -> Any:
        found = good.predict(self, features)
        return found[:, 1:] if found.shape[1] == 2 else found

    return {"predict": predict}


def no_training(good: Any) -> Patch:
    return {"fit": lambda self, examples, settings, seed: None}


def a_memory(good: Any) -> Patch:
    def fit(self: Any, examples: Any, settings: Any, seed: int) -> None:
        self.calls = getattr(self, "calls", 0) + 1
        good.fit(self, examples, settings, seed + self.calls)

    return {"fit": fit}


def one_training_seed(good: Any) -> Patch:
    return {"fit": lambda self, examples, settings, seed: good.fit(self, examples, settings, 0)}


def one_learning_rate(good: Any) -> Patch:
    def fit(self: Any, examples: Any, settings: Any, seed: int) -> None:
        good.fit(self, examples, replace(settings, learning_rate=0.01), seed)

    return {"fit": fit}


def nan_of_few(good: Any) -> Patch:
    def fit(self: Any, examples: Any, settings: Any, seed: int) -> None:
        good.fit(self, examples, settings, seed)
        if len(examples) < 10:
            self.set_weights([weights * np.nan for weights in self.get_weights()])

    return {"fit": fit}


MISTAKES = {
    "weights_are_finite_float32_arrays": (in_float64, "expected finite float32, found float64"),
    "equal_seeds_give_equal_models_and_other_seeds_give_others": (
        without_its_seed,
        "expected other weights for another seed",
    ),
    "weights_come_back_as_they_were_set": (
        other_values,
        "expected the arrays that set_weights received",
    ),
    "changing_arrays_that_were_read_or_set_changes_no_model": (its_own_arrays, "expected copies"),
    "predictions_are_probabilities_of_each_class": (scores, "found sums from 2 to 2"),
    "two_classes_get_a_column_each": (one_column, r"expected shape \(5, 2\), found \(5, 1\)"),
    "training_learns": (no_training, "expected an accuracy above 0.95"),
    "training_repeats_exactly_whatever_the_model_did_before": (a_memory, "a fresh optimiser"),
    "another_training_seed_gives_another_model": (one_training_seed, "does it use the seed?"),
    "settings_take_effect": (one_learning_rate, "the setting 'learning_rate' to take effect"),
    "few_examples_and_a_missing_class_are_no_trouble": (nan_of_few, "from three examples"),
}


def test_every_check_is_tried_here(good: Any) -> None:
    assert [check.name for check in classifier_checks(good)] == list(MISTAKES)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_check_finds_its_mistake_and_no_other(good: Any, name: str) -> None:
    mistake, words = MISTAKES[name]
    bad = type("Bad", (good,), mistake(good))
    checks = {check.name: check for check in classifier_checks(good)}
    checks[name]()
    (found,) = [check for check in classifier_checks(bad) if check.name == name]
    with pytest.raises(AssertionError, match=words):
        found()


def test_an_opt_out_names_a_check_and_has_a_reason() -> None:
    checks = [Check("one", lambda: None), Check("two", lambda: None)]
    marked = parametrize_with_checks(checks, {"two": "no such thing here"})
    first, second = marked.args[1]
    assert (first.id, list(first.marks), second.id) == ("one", [], "two")
    assert [mark.kwargs for mark in second.marks] == [{"reason": "opted out: no such thing here"}]
    for wrong, words in (({"three": "x"}, "expected one of one, two"), ({"two": " "}, "a reason")):
        with pytest.raises(ValueError, match=words):
            parametrize_with_checks(checks, wrong)
