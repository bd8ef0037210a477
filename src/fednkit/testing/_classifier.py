"""The checks of a classifier, which hold in every framework."""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from fednsite.data.examples import Array, Examples
from fednsite.interfaces import Classifier

from ._check import Check, expect

# input_shape, num_classes, seed -> a model
Factory = Callable[..., Classifier]

SHAPE, CLASSES = (4, 3), 3
SIGNATURE = "Classifier(input_shape, num_classes, seed=0)"


def classifier_checks(factory: Factory) -> list[Check]:
    """Return the checks of a classifier.

    Args:
        factory: The class, called with the input's shape, the number of classes, and a seed.
    """
    return [Check(check.__name__, partial(check, factory)) for check in CHECKS]


def examples() -> Examples:
    """Return 300 examples of three well separated classes of different sizes."""
    random = np.random.default_rng(0)
    labels = random.choice(CLASSES, size=300, p=[0.7, 0.2, 0.1])
    features = random.normal(size=(300, *SHAPE)) + 2 * labels[:, np.newaxis, np.newaxis]
    return Examples(features.astype(np.float32), labels.astype(np.int64))


def settings(**changed: Any) -> Any:
    """Return the project's settings with the changes, except for fields that it does not have."""
    from model.settings import Settings

    known = {field.name for field in fields(Settings)}
    return Settings(**{name: value for name, value in changed.items() if name in known})


def equal(one: list[Array], other: list[Array]) -> bool:
    """Return whether two models have the same weights, bit for bit."""
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def fitted(factory: Factory, seed: int, **changed: Any) -> list[Array]:
    """Return the weights of a new model after training."""
    classifier = factory(SHAPE, CLASSES)
    classifier.fit(examples(), settings(**changed), seed)
    return classifier.get_weights()


def weights_are_finite_float32_arrays(factory: Factory) -> None:
    weights = factory(SHAPE, CLASSES).get_weights()
    expect(bool(weights), "get_weights: expected a list of arrays, found an empty one")
    for index, weight in enumerate(weights):
        expect(
            weight.dtype == np.float32 and bool(np.isfinite(weight).all()),
            f"get_weights: array {index}: expected finite float32, found {weight.dtype}; FEDn's "
            "average keeps float32 alone",
        )


def equal_seeds_give_equal_models_and_other_seeds_give_others(factory: Factory) -> None:
    first, again = (factory(SHAPE, CLASSES, 3).get_weights() for _ in range(2))
    expect(equal(first, again), f"{SIGNATURE}: expected equal weights for equal seeds")
    other = factory(SHAPE, CLASSES, 4).get_weights()
    expect(not equal(first, other), f"{SIGNATURE}: expected other weights for another seed")


def weights_come_back_as_they_were_set(factory: Factory) -> None:
    source, target = factory(SHAPE, CLASSES, 1), factory(SHAPE, CLASSES, 2)
    target.set_weights(source.get_weights())
    expect(
        equal(target.get_weights(), source.get_weights()),
        "get_weights: expected the arrays that set_weights received, in the same order",
    )


def changing_arrays_that_were_read_or_set_changes_no_model(factory: Factory) -> None:
    classifier, features = factory(SHAPE, CLASSES), examples().features
    weights = classifier.get_weights()
    classifier.set_weights(weights)
    before = classifier.predict(features)
    for weight in (*weights, *classifier.get_weights()):
        weight += 1
    expect(
        np.array_equal(classifier.predict(features), before),
        "get_weights and set_weights: expected copies, found the model's own arrays",
    )


def predictions_are_probabilities_of_each_class(factory: Factory) -> None:
    known = examples()
    probabilities = factory(SHAPE, CLASSES).predict(known.features)
    shape = (len(known), CLASSES)
    expect(
        probabilities.shape == shape and probabilities.dtype == np.float32,
        f"predict: expected float32 of shape {shape}, found {probabilities.dtype} of shape "
        f"{probabilities.shape}",
    )
    sums = probabilities.sum(axis=1)
    expect(
        bool((probabilities >= 0).all()) and np.allclose(sums, 1, atol=1e-5),
        "predict: expected probabilities that sum to 1, found sums from "
        f"{sums.min():g} to {sums.max():g}",
    )


def two_classes_get_a_column_each(factory: Factory) -> None:
    found = factory(SHAPE, 2).predict(np.zeros((5, *SHAPE), dtype=np.float32)).shape
    expect(found == (5, 2), f"predict: with two classes, expected shape (5, 2), found {found}")


def training_learns(factory: Factory) -> None:
    known, classifier = examples(), factory(SHAPE, CLASSES)
    classifier.fit(known, settings(epochs=20, learning_rate=0.01, batch_size=32), 0)
    accuracy = np.mean(classifier.predict(known.features).argmax(axis=1) == known.labels)
    expect(
        bool(accuracy > 0.95),
        f"fit: expected an accuracy above 0.95 on classes that lie apart, found {accuracy:.2f}",
    )


def training_repeats_exactly_whatever_the_model_did_before(factory: Factory) -> None:
    known = examples()
    fresh, used = factory(SHAPE, CLASSES, 1), factory(SHAPE, CLASSES, 2)
    start = fresh.get_weights()
    fresh.fit(known, settings(), 5)
    used.fit(known, settings(learning_rate=0.1), 6)
    used.predict(known.features)
    used.set_weights(start)
    used.fit(known, settings(), 5)
    expect(
        equal(used.get_weights(), fresh.get_weights()),
        "fit: expected the same weights bit for bit from equal weights, examples and seed, in a "
        "model that has trained before; start each fit with a fresh optimiser, and seed all that "
        "is random",
    )


def another_training_seed_gives_another_model(factory: Factory) -> None:
    expect(
        not equal(fitted(factory, 5), fitted(factory, 6)),
        "fit: expected other weights for another seed; does it use the seed?",
    )


def settings_take_effect(factory: Factory) -> None:
    usual, now = fitted(factory, 0), settings()
    for name in ("epochs", "batch_size", "learning_rate", "balance_classes"):
        if hasattr(now, name):
            value = getattr(now, name)
            other = not value if isinstance(value, bool) else value * 2
            expect(
                not equal(usual, fitted(factory, 0, **{name: other})),
                f"fit: expected the setting '{name}' to take effect; use it, or remove it from "
                "model/settings.py",
            )


def few_examples_and_a_missing_class_are_no_trouble(factory: Factory) -> None:
    few = Examples(np.ones((3, *SHAPE), dtype=np.float32), np.array([0, 0, 1]))
    classifier = factory(SHAPE, CLASSES)
    classifier.fit(few, settings(batch_size=64), 0)
    expect(
        all(np.isfinite(weight).all() for weight in classifier.get_weights()),
        "fit: expected finite weights from three examples of two of the three classes",
    )


CHECKS: tuple[Callable[[Factory], None], ...] = (
    weights_are_finite_float32_arrays,
    equal_seeds_give_equal_models_and_other_seeds_give_others,
    weights_come_back_as_they_were_set,
    changing_arrays_that_were_read_or_set_changes_no_model,
    predictions_are_probabilities_of_each_class,
    two_classes_get_a_column_each,
    training_learns,
    training_repeats_exactly_whatever_the_model_did_before,
    another_training_seed_gives_another_model,
    settings_take_effect,
    few_examples_and_a_missing_class_are_no_trouble,
)
