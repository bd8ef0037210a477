"""The worker processes of a simulation, which train and measure models for any client.

A worker imports the model library once, from the unpacked archive, and maps the clients' examples
from files that all workers share. It keeps only the compiled model between two calls. It trains
with the function in the package's `train.py`.
"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fednsite.data.examples import Examples, Part
from fednsite.execution import train_update
from fednsite.interfaces import Metrics
from fednsite.step import Step

from ..package.library import load_library
from ..runs.run import Weights
from ._clients import Clients


class Worker:
    """The model library, model and clients of one process.

    Args:
        package: The folder of the unpacked archive.
        store: The folder of the clients' arrays.
    """

    def __init__(self, package: str, store: str) -> None:
        self.library = load_library(Path(package))
        self.clients = Clients.load(Path(store))
        self.classifier = self.library.new_classifier()
        self.held_out = self.clients.rows("test")

    def ready(self) -> None:
        """Do nothing: a worker that answers has loaded the model library."""

    def train(self, client: int, weights: Weights, sent: dict[str, Any]) -> tuple[Weights, int]:
        """Train like the package's train.py; return the update and its number of examples."""
        return self._train(partial(self.clients.part, client), weights, sent)

    def measure(self, weights: Weights) -> tuple[Metrics, list[Metrics]]:
        """Return the metrics of a model on all held-out examples, and on each client's."""
        self.classifier.set_weights(self._as_received(weights))
        probabilities = self.classifier.predict(self.clients.features[self.held_out])
        labels = self.clients.labels[self.held_out]
        sizes = self.clients.bounds[:, 2] - self.clients.bounds[:, 1]
        spans = np.split(np.arange(len(labels)), np.cumsum(sizes)[:-1])
        each = [self.library.evaluate(labels[span], probabilities[span]) for span in spans]
        return self.library.evaluate(labels, probabilities), each

    def alone(
        self, client: int, weights: Weights, sent: dict[str, Any], rounds: int
    ) -> tuple[Metrics, Metrics]:
        """Train one client alone for a number of rounds.

        Returns:
            The metrics on all held-out examples, and on the client's own.
        """
        for _ in range(rounds):
            weights, _ = self._train(partial(self.clients.part, client), weights, sent)
        everywhere, each = self.measure(weights)
        return everywhere, each[client]

    def central(self, weights: Weights, sent: dict[str, Any], rounds: int) -> list[Metrics]:
        """Train on all clients' pooled examples; return the metrics after each round."""
        measured = []
        for _ in range(rounds):
            weights, _ = self._train(self.clients.rows, weights, sent)
            measured.append(self.measure(weights)[0])
        return measured

    def _train(
        self,
        rows: Callable[[Part], slice | npt.NDArray[np.int64]],
        weights: Weights,
        sent: dict[str, Any],
    ) -> tuple[Weights, int]:
        @cache
        def examples(part: Part) -> Examples:
            chosen = rows(part)
            return Examples(self.clients.features[chosen], self.clients.labels[chosen])

        step = Step(
            self.classifier,
            self._as_received(weights),
            self.library.settings.override(sent),
            examples,
        )
        return train_update(self.library.train, step)

    def _as_received(self, weights: Weights) -> Weights:
        # Cast as the package does when it reads a model file: FEDn's fedopt returns float64.
        like = self.classifier.get_weights()
        return [w.astype(held.dtype) for w, held in zip(weights, like, strict=True)]
