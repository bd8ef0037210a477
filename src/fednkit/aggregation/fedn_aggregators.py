"""FEDn's own aggregators, driven in memory: what a combiner computes, without its network."""

import logging
import queue
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from fedn.network.combiner.aggregators.aggregatorbase import get_aggregator
from fedn.utils.helpers.helpers import get_helper
from fedn.utils.parameters import Parameters

__all__ = ["Aggregation", "Update", "Updates", "Weights"]

Weights = list[npt.NDArray[Any]]


class Update(NamedTuple):
    """One client's update, with the two names that FEDn's aggregators ask for."""

    weights: Weights
    num_examples: int
    model_update_id: str
    model_id: str = "global"


class Updates:
    """The part of a combiner's update handler that aggregators use."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the updates that are left, and the global model."""
        self.model_updates: queue.Queue[Update] = queue.Queue()
        self.global_model: Weights = []

    def next_model_update(self) -> Update:
        """Take the next update out of the queue."""
        return self.model_updates.get(block=False)

    def load_model_update(self, update: Update, helper: Any) -> tuple[Weights, dict[str, int]]:
        """Return an update's weights and metadata."""
        return update.weights, {"num_examples": update.num_examples}

    def load_model(self, helper: Any, model_id: str) -> Weights:
        """Return the global model that the updates started from."""
        return self.global_model

    def delete_model(self, update: Update) -> None:
        """Do nothing: what nobody refers to is gone by itself."""


class Aggregation:
    """Combines updates round by round; `fedopt` keeps its optimiser's state in between.

    name: `fedavg` or `fedopt`. optimizer: of fedopt, `adam`, `yogi` or `adagrad`.
    learning_rate: of fedopt, its step from one global model to the next.
    """

    def __init__(self, name: str, optimizer: str, learning_rate: float) -> None:
        logging.getLogger("fedn").setLevel(logging.CRITICAL)
        self.updates = Updates()
        self.helper = get_helper("numpyhelper")
        self.aggregator = get_aggregator(name, self.updates)
        self.parameters = (
            Parameters({"serveropt": optimizer, "learning_rate": learning_rate})
            if name == "fedopt"
            else None
        )

    def combine(self, weights: Weights, updates: list[tuple[Weights, int]]) -> Weights:
        """Return the next global model from the present one and (weights, examples) pairs.

        The order of the updates counts in the last bit, so the caller keeps it the same.
        """
        self.updates.global_model = weights
        for number, (update, examples) in enumerate(updates):
            self.updates.model_updates.put(Update(update, examples, str(number)))
        combined, data = self.aggregator.combine_models(
            helper=self.helper, delete_models=True, parameters=self.parameters
        )
        # FEDn logs and skips an update that it cannot take; here none may be lost.
        if combined is None or data["nr_aggregated_models"] != len(updates):
            raise RuntimeError(f"FEDn combined {data.get('nr_aggregated_models')} updates")
        return list(combined)

    def state(self) -> dict[str, Weights]:
        """Return what the aggregator remembers between rounds, by its own names."""
        remembered = {name: getattr(self.aggregator, name, None) for name in ("m", "v")}
        return {
            name: [np.asarray(array) for array in value]
            for name, value in remembered.items()
            if value is not None
        }

    def restore(self, state: dict[str, Weights]) -> None:
        """Put back what `state` returned."""
        for name, value in state.items():
            setattr(self.aggregator, name, value)
