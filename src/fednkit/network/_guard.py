"""What the embedded network does with a round's updates, in the place of FEDn's aggregators.

Every update passes the guard, which FEDn's own aggregators only get the admitted ones from. FEDn
falls back to its aggregator when something fails; here that is the guard again, so no path averages
unchecked, and what fails keeps the model. A defence comes in the session's server functions, of
which only the settings are read: no code that was sent runs.
"""

import ast
import io
import json
import logging
from typing import IO, Any

import numpy as np
from fedn.network.combiner.aggregators.aggregatorbase import get_aggregator
from fedn.utils.helpers.helpers import get_helper
from fedn.utils.parameters import Parameters

from ..aggregation import server_functions as defences
from ..aggregation.combination import Arrived, combine_round
from ..aggregation.fedn_aggregators import Update, Updates
from ..aggregation.updates import Weights, read_metadata, read_update
from ._sites import Sites

__all__ = ["Guard"]

log = logging.getLogger("fedn")

FEDN_AGGREGATORS = "fedavg", "fedopt"

Outcome = dict[str, Any]


class Guard:
    """A combiner's hook interface and its aggregator at once. Its public methods are FEDn's.

    Args:
        round_handler: FEDn's, of the combiner, whose hooks and aggregator the guard replaces.
        sites: Whose reports go into the round's record.
    """

    def __init__(self, round_handler: Any, sites: Sites) -> None:
        self._handler, self._sites = round_handler.update_handler, sites
        self._models = self._handler.modelservice
        # What FEDn starts with, and which does nothing.
        self._default_functions = round_handler.server_functions
        self._aggregator: Any = None
        # What the aggregator combines: the arrays that were checked, and no file once more.
        self._checked = Updates()
        self._defence: dict[str, Any] | None = None
        self._unusable: str | None = None
        self._config: dict[str, Any] = {}
        self._wait = self._handler.waitforit
        self._handler.waitforit = self._remember_and_wait
        round_handler.hook_interface = round_handler.aggregator = self
        round_handler.set_aggregator = self.set_aggregator
        self._run, self._train = round_handler.run, round_handler.execute_training_round
        round_handler.run, round_handler.execute_training_round = self.run, self.train

    def run(self) -> None:
        """Work on rounds for ever; FEDn's loop ends with the first that fails."""
        while True:
            try:
                self._run()
            except Exception:
                log.exception("a round failed; the next one can begin")

    def train(self, config: dict[str, Any]) -> dict[str, Any]:
        """Do a round, and return FEDn's record of it; of one that failed too.

        FEDn's controller would wait for it without end.
        """
        try:
            return self._train(config)  # type: ignore[no-any-return]
        except Exception as error:
            log.exception("a round failed")
            self._config = config
            self._record({"stays": f"the round failed: {type(error).__name__}"})
            figures = {"aggregation_time": {"nr_aggregated_models": 0}}
            return {"config": config, "round_id": config["round_id"], "data": figures}

    @property
    def model_updates(self) -> Any:
        """FEDn's queue of updates, which its controller may flush."""
        return self._handler.model_updates

    def set_aggregator(self, name: str) -> None:
        """Choose which of FEDn's aggregators combines what is admitted."""
        if name not in FEDN_AGGREGATORS:
            raise ValueError(f"aggregator: expected {' or '.join(FEDN_AGGREGATORS)}")
        self._aggregator = get_aggregator(name, self._checked)

    def provided_functions(self, server_functions: str) -> dict[str, bool]:
        """Take what the session asks for; aggregating is always done here."""
        self._defence = self._unusable = None
        try:
            if server_functions != self._default_functions:
                self._defence = defences.read(server_functions)
        except (ValueError, AttributeError) as error:
            # An average in the place of what was asked for would look like success.
            self._unusable = f"server functions: {error}"
        return {"aggregate": True}

    def aggregate(
        self, previous_global: Any, update_handler: Any, helper: Any, delete_models: bool
    ) -> tuple[Weights | None, dict[str, Any]]:
        """Return the next global model, None when no update can be taken, and FEDn's figures.

        The round's outcome goes into its record, where `outcome_of` finds it.
        """
        updates = [self.model_updates.get() for _ in range(self.model_updates.qsize())]
        model: Weights | None = None
        received: Weights | None = None
        outcome: Outcome
        try:
            received = _arrays(self._stored(self._config["model_id"]))
            if self._unusable:
                model, outcome, used = received, {"stays": self._unusable}, 0
            else:
                model, outcome, used = self._combine(updates, received, helper)
        except Exception as error:
            # Whatever it was: a model that nobody has checked is worse than one round lost.
            log.exception("the updates could not be combined")
            model, used = received, 0
            outcome = {"stays": f"the updates could not be combined: {type(error).__name__}"}
        if delete_models:
            for update in updates:
                if self._is_its_own(update):
                    self._models.temp_model_storage.discard(update.model_update_id)
        if reports := self._sites.take_reports():
            outcome["reported"] = reports
        if outcome:
            log.warning(f"outcome of the round: {outcome}")
        self._record(outcome)
        figures = {"time_model_load": 0.0, "time_model_aggregation": 0.0}
        return model, figures | {"nr_aggregated_models": used}

    def combine_models(
        self, helper: Any = None, delete_models: bool = True, parameters: Any = None
    ) -> tuple[Weights | None, dict[str, Any]]:
        """Do the same where FEDn falls back to its aggregator."""
        return self.aggregate(
            None, self._handler, helper or get_helper("numpyhelper"), delete_models
        )

    def _combine(
        self, updates: list[Any], received: Weights, helper: Any
    ) -> tuple[Weights | None, Outcome, int]:
        """Return the next global model, the round's outcome, and how many updates are in it."""
        named, arrived, refused = {}, {}, {}
        for update in updates:
            name = update.sender.name
            while name in named:
                # Two sites with one name: neither may take the other's place.
                name += "+"
            named[name] = update
            try:
                if not self._is_its_own(update):
                    raise ValueError("expected a model that this site uploaded, found none")
                weights = read_update(self._stored(update.model_update_id), received)
                arrived[name] = weights, read_metadata(update.meta)
            except ValueError as error:
                refused[name] = str(error)

        def average(admitted: Arrived) -> Weights | None:
            checked = [
                Update(weights, metadata["num_examples"], named[name].model_update_id)
                for name, (weights, metadata) in admitted.items()
            ]
            return self._with_fedn(checked, received, helper)

        model, outcome = combine_round(received, arrived, self._defence, average)
        if refused:
            outcome["refused"] = refused | outcome.get("refused", {})
        unused = sum(len(outcome.get(name, ())) for name in ("refused", "exhausted", "passed_over"))
        return model, outcome, 0 if "stays" in outcome else len(updates) - unused

    def _is_its_own(self, update: Any) -> bool:
        """Tell whether an update's model was uploaded by its sender."""
        owner = self._models.owner(update.model_update_id)
        return bool(owner) and owner == update.sender.client_id

    def _stored(self, model_id: str) -> bytes:
        """Return a model file of the combiner; raise `ValueError` if there is none."""
        file: IO[bytes] | None = self._models.temp_model_storage.get(model_id)
        if file is None:
            raise ValueError("the model file was not uploaded")
        with file:
            return file.read()

    def _with_fedn(self, updates: list[Update], received: Weights, helper: Any) -> Weights | None:
        """Have FEDn's own aggregator combine updates."""
        self._checked.global_model = received
        for update in updates:
            self._checked.model_updates.put(update)
        try:
            asked = self._config.get("aggregator_kwargs")
            parameters = Parameters(ast.literal_eval(asked)) if asked else None
            model, _ = self._aggregator.combine_models(
                helper=helper, delete_models=False, parameters=parameters
            )
        finally:
            # Of a failure, too, nothing may reach the next round.
            self._checked.clear()
        return model  # type: ignore[no-any-return]

    def _remember_and_wait(self, config: dict[str, Any], **options: Any) -> None:
        self._config = config
        self._wait(config, **options)

    def _record(self, outcome: Outcome) -> None:
        # The only part of FEDn's record of a round that takes what one likes; the sites have
        # their copy by now, and cannot write here as they can among the status messages.
        settings = self._config.get("client_settings") or {}
        self._config["client_settings"] = {**settings, "outcome": json.dumps(outcome)}


def _arrays(content: bytes) -> Weights:
    """Return the arrays of a global model."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return [arrays[str(index)] for index in range(len(arrays.files))]
