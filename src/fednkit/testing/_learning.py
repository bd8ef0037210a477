"""Checks that a federation learns with this model, and of steps with differential privacy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fednsite import weights
from fednsite.data.examples import Array, Examples, Part
from fednsite.execution import train_update
from fednsite.privacy.ledger import Ledger
from fednsite.step import Step

from ..package.library import model_library
from ._check import expect
from ._entry_points import data_module, seed_model, seed_weights
from ._site import Machine, machine, site_folders

ROUNDS = 3


def federated_averaging_beats_the_seed_model() -> None:
    with model_library() as library:
        data, settings = library.data, library.settings()
        train = [data.load("train", site) for site in site_folders()]
        test = [data.load("test", site) for site in site_folders()]
        classifier = library.new_classifier()

        def headline(model: list[Array]) -> float:
            classifier.set_weights(model)
            measured = [library.evaluate(t.labels, classifier.predict(t.features)) for t in test]
            return float(np.nanmean([next(iter(metrics.values())) for metrics in measured]))

        model = classifier.get_weights()
        before = headline(model)
        share = np.array([len(site) for site in train], dtype=np.float32)
        share /= share.sum()
        for _ in range(ROUNDS):
            updates = []
            for site in train:
                step = Step(classifier, model, settings, _always(site))
                updates.append(train_update(library.train, step)[0])
            stacked = [np.stack(arrays) for arrays in zip(*updates, strict=True)]
            model = [np.einsum("s,s...->...", share, arrays) for arrays in stacked]
        after = headline(model)
    expect(
        after > before,
        f"expected the first metric to grow in {ROUNDS} rounds over {len(train)} sites, found "
        f"{before:.4f} before and {after:.4f} after",
    )


def _always(examples: Examples) -> Callable[[Part], Examples]:
    return lambda part: examples


def metrics_have_the_same_names_when_a_class_is_missing() -> None:
    from model.metrics import evaluate

    classes = data_module().num_classes()
    probabilities = np.full((4, classes), 1 / classes, dtype=np.float32)
    both, single = np.array([0, 1, 0, 1]), np.zeros(4, np.int64)
    expected = list(evaluate(both, probabilities))
    found = list(evaluate(single, probabilities))
    expect(
        found == expected,
        f"metrics.py: expected the metrics {expected} for a site with a single class too, found "
        f"{found}; give NaN where one is not defined",
    )


def a_step_that_is_killed_before_its_update_is_written_has_counted_it() -> None:
    with machine() as site:
        model_in, out = seed_model(site.folder), site.folder / "out"
        code = (
            "import os, signal, sys; sys.path.insert(0, '')\n"
            "from fednsite import execution; import train\n"
            "execution.weights.save = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
            "execution.execute(train.train, *sys.argv[1:], execution.Site())\n"
        )
        done = site.run("-c", code, model_in, out, PRIVACY_NOISE="2")
        expect(done.returncode == -9, f"expected the step to be killed, found {done.stderr}")
        expect(not out.exists(), "expected no update from a step that was killed")
        counted = Ledger(site.folder / "ledger.json").read()
        expect(counted == {2.0: 1}, f"expected one update in the ledger, found {counted}")


def a_budget_that_is_used_up_sends_the_model_back_as_it_came() -> None:
    with machine() as site:
        received, sent, metadata = _noised_step(site, noise=1.0, budget=6.0)
        expect(
            not all(map(np.array_equal, received, sent)) and not metadata["privacy"]["exhausted"],
            "train.py: expected a noised update within the budget",
        )
        received, sent, metadata = _noised_step(site, noise=1.0, budget=6.0)
        expect(
            all(map(np.array_equal, received, sent)) and metadata["privacy"]["exhausted"],
            "train.py: expected the model back as it came once the budget is used up",
        )


def metrics_of_few_held_out_examples_stay_at_the_site() -> None:
    with machine() as site:
        model_in, out = seed_model(site.folder), site.folder / "validation"
        examples = len(data_module().load("test", site_folders()[0]))
        site.step("validate", model_in, out, METRICS_MINIMUM=str(examples + 1))
        found = json.loads(out.read_text("utf-8"))
        expect(
            found == {"num_examples": examples},
            f"validate.py: expected no metrics of too few examples, found {found}",
        )


def _noised_step(site: Machine, **sent: Any) -> tuple[list[Array], list[Array], dict[str, Any]]:
    """Run a training step with noise; return the received model, the update and its metadata."""
    model_in: Path = seed_model(site.folder)
    out = site.folder / "out"
    model_in.with_name("seed.npz-metadata").write_text(json.dumps(sent), "utf-8")
    site.step("train", model_in, out)
    seed = seed_weights()
    metadata = json.loads(out.with_name("out-metadata").read_text("utf-8"))
    return seed, weights.load(out, like=seed), metadata


CHECKS = (
    federated_averaging_beats_the_seed_model,
    metrics_have_the_same_names_when_a_class_is_missing,
    a_step_that_is_killed_before_its_update_is_written_has_counted_it,
    a_budget_that_is_used_up_sends_the_model_back_as_it_came,
    metrics_of_few_held_out_examples_stay_at_the_site,
)
