"""Run FEDn's own aggregators in memory: the computation of a combiner without its network."""

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
    """One client's update, with the two ids that FEDn's aggregators need."""

    weights: Weights
    num_examples: int
    model_update_id: str
    model_id: str = "global"


class Updates:
    """The part of a combiner's update handler that aggregators use."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove all updates and the global model."""
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
        """Do nothing: Python frees the memory."""


class Aggregation:
    """Combines updates round by round; `fedopt` keeps its optimiser's state between rounds.

    Args:
        name: `fedavg` or `fedopt`.
        optimizer: The optimiser of fedopt: `adam`, `yogi` or `adagrad`.
        learning_rate: The learning rate of fedopt.
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
        """Return the next global model.

        Args:
            weights: The current global model.
            updates: Pairs of weights and number of examples. Their order must be repeatable,
                because it affects the last bit of a sum.
        """
        self.updates.global_model = weights
        for number, (update, examples) in enumerate(updates):
            self.updates.model_updates.put(Update(update, examples, str(number)))
        combined, data = self.aggregator.combine_models(
            helper=self.helper, delete_models=True, parameters=self.parameters
        )
        # FEDn logs and skips updates that it cannot read; here that would be a bug.
        if combined is None or data["nr_aggregated_models"] != len(updates):
            raise RuntimeError(f"FEDn combined {data.get('nr_aggregated_models')} updates")
        return list(combined)

    def state(self) -> dict[str, Weights]:
        """Return the aggregator's state between rounds, by attribute."""
        remembered = {name: getattr(self.aggregator, name, None) for name in ("m", "v")}
        return {
            name: [np.asarray(array) for array in value]
            for name, value in remembered.items()
            if value is not None
        }

    def restore(self, state: dict[str, Weights]) -> None:
        """Restore the state that `state` returned."""
        for name, value in state.items():
            setattr(self.aggregator, name, value)
