"""What every classifier must do, whatever the framework."""

import numpy as np
import pytest

from model.classifier import Classifier
from model.dataset import Array, Dataset
from model.settings import Settings

SHAPE, CLASSES = (4, 3), 3


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Three classes that lie apart, in uneven numbers."""
    random = np.random.default_rng(0)
    labels = random.choice(CLASSES, size=300, p=[0.7, 0.2, 0.1])
    features = random.normal(size=(300, *SHAPE)) + 2 * labels[:, np.newaxis, np.newaxis]
    return Dataset(features.astype(np.float32), labels.astype(np.int64))


def equal(one: list[Array], other: list[Array]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_weights_are_finite_float32_arrays() -> None:
    weights = Classifier(SHAPE, CLASSES).get_weights()
    assert weights
    assert all(weight.dtype == np.float32 for weight in weights)
    assert all(np.isfinite(weight).all() for weight in weights)


def test_equal_seeds_give_equal_models_and_other_seeds_give_others() -> None:
    first, again = (Classifier(SHAPE, CLASSES, seed=3).get_weights() for _ in range(2))
    assert equal(first, again)
    assert not equal(first, Classifier(SHAPE, CLASSES, seed=4).get_weights())


def test_weights_come_back_as_they_were_set() -> None:
    source = Classifier(SHAPE, CLASSES, seed=1)
    target = Classifier(SHAPE, CLASSES, seed=2)
    target.set_weights(source.get_weights())
    assert equal(target.get_weights(), source.get_weights())


def test_changing_the_arrays_that_were_read_or_set_changes_no_model(dataset: Dataset) -> None:
    classifier = Classifier(SHAPE, CLASSES)
    weights = classifier.get_weights()
    classifier.set_weights(weights)
    before = classifier.predict(dataset.features)
    for weight in (*weights, *classifier.get_weights()):
        weight += 1
    assert np.array_equal(classifier.predict(dataset.features), before)


def test_predictions_are_probabilities_of_each_class(dataset: Dataset) -> None:
    probabilities = Classifier(SHAPE, CLASSES).predict(dataset.features)
    assert probabilities.shape == (len(dataset), CLASSES)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_two_classes_get_a_column_each() -> None:
    features = np.zeros((5, *SHAPE), dtype=np.float32)
    assert Classifier(SHAPE, 2).predict(features).shape == (5, 2)


def test_training_learns(dataset: Dataset) -> None:
    classifier = Classifier(SHAPE, CLASSES)
    classifier.fit(dataset, Settings(epochs=20, learning_rate=0.01, batch_size=32), seed=0)
    accuracy = np.mean(classifier.predict(dataset.features).argmax(axis=1) == dataset.labels)
    assert accuracy > 0.95


def test_training_repeats_exactly_whatever_the_model_did_before(dataset: Dataset) -> None:
    fresh, used = Classifier(SHAPE, CLASSES, seed=1), Classifier(SHAPE, CLASSES, seed=2)
    start = fresh.get_weights()
    fresh.fit(dataset, Settings(), seed=5)
    used.fit(dataset, Settings(learning_rate=0.1), seed=6)
    used.predict(dataset.features)
    used.set_weights(start)
    used.fit(dataset, Settings(), seed=5)
    assert equal(used.get_weights(), fresh.get_weights())


def test_another_training_seed_gives_another_model(dataset: Dataset) -> None:
    results = []
    for seed in (5, 6):
        classifier = Classifier(SHAPE, CLASSES)
        classifier.fit(dataset, Settings(), seed=seed)
        results.append(classifier.get_weights())
    assert not equal(*results)


def test_settings_take_effect(dataset: Dataset) -> None:
    results = []
    for settings in (
        Settings(),
        Settings(epochs=Settings.epochs + 1),
        Settings(batch_size=Settings.batch_size // 2),
        Settings(learning_rate=Settings.learning_rate * 2),
        Settings(balance_classes=not Settings.balance_classes),
    ):
        classifier = Classifier(SHAPE, CLASSES)
        classifier.fit(dataset, settings, seed=0)
        results.append(classifier.get_weights())
    assert not any(equal(results[0], other) for other in results[1:])


def test_fewer_examples_than_a_batch_and_a_missing_class_are_no_trouble() -> None:
    few = Dataset(np.ones((3, *SHAPE), dtype=np.float32), np.array([0, 0, 1]))
    classifier = Classifier(SHAPE, CLASSES)
    classifier.fit(few, Settings(batch_size=64), seed=0)
    assert all(np.isfinite(weight).all() for weight in classifier.get_weights())
