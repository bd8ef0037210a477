"""What the embedded network does with a round's updates, in the place of FEDn's hook service.

Every update passes the guard, also where FEDn's own aggregators combine them. A defence comes in
the session's server functions, of which only the settings are read: no code that was sent runs.
"""

import ast
import io
import json
import logging
from typing import Any

import numpy as np
from fedn.utils.parameters import Parameters

from ..aggregation import server_functions as defences
from ..aggregation.combination import Arrived, combine_round
from ..aggregation.updates import Weights, read_metadata, read_update

log = logging.getLogger("fedn")


class Hooks:
    """A combiner's hook interface, without the service behind it. Its methods are FEDn's.

    round_handler: FEDn's, of the combiner.
    """

    def __init__(self, round_handler: Any) -> None:
        self.round_handler = round_handler
        self.defence: dict[str, Any] | None = None
        self.config: dict[str, Any] = {}

    def install(self) -> None:
        """Take the place of FEDn's own hook interface."""
        self.round_handler.hook_interface = self
        handler = self.round_handler.update_handler
        wait = handler.waitforit

        def remember_and_wait(config: dict[str, Any], **options: Any) -> None:
            self.config = config
            wait(config, **options)

        handler.waitforit = remember_and_wait

    def provided_functions(self, server_functions: str) -> dict[str, bool]:
        """Take what the session asks for; aggregating is always done here."""
        self.defence = None
        try:
            self.defence = defences.read(server_functions)
        except (ValueError, AttributeError) as error:
            # FEDn would take it for no hooks at all, and go on without the guard as well.
            log.error(f"server functions: {error}")
        return {"aggregate": True}

    def aggregate(
        self, previous_global: io.BytesIO, update_handler: Any, helper: Any, delete_models: bool
    ) -> tuple[Weights | None, dict[str, Any]]:
        """Return the next global model, None when no update can be taken, and FEDn's figures.

        The round's outcome goes into its record, where `outcome_of` finds it.
        """
        with np.load(io.BytesIO(previous_global.getvalue()), allow_pickle=False) as arrays:
            received = [arrays[str(index)] for index in range(len(arrays.files))]
        queue = update_handler.model_updates
        updates, arrived, refused = {}, {}, {}
        for _ in range(queue.qsize()):
            update = queue.get()
            name = update.sender.name
            while name in updates:
                # Two sites with one name: neither may take the other's place.
                name += "+"
            updates[name] = update
            content = update_handler.load_model_update_bytesIO(update.model_update_id)
            try:
                weights = read_update(content.getvalue(), received)
                arrived[name] = weights, read_metadata(update.meta)
            except ValueError as error:
                refused[name] = str(error)

        def average(admitted: Arrived) -> Weights | None:
            return self._with_fedn([updates[name] for name in admitted], helper)

        model, outcome = combine_round(received, arrived, self.defence, average)
        if refused:
            outcome["refused"] = refused | outcome.get("refused", {})
        if delete_models:
            for update in updates.values():
                update_handler.delete_model(update)
        if outcome:
            log.warning(f"outcome of the round: {outcome}")
        self._record(outcome)
        figures = {"time_model_load": 0.0, "time_model_aggregation": 0.0}
        unused = sum(len(outcome.get(name, ())) for name in ("refused", "exhausted", "passed_over"))
        used = 0 if "stays" in outcome else len(updates) - unused
        return model, figures | {"nr_aggregated_models": used}

    def _with_fedn(self, updates: list[Any], helper: Any) -> Weights | None:
        """Have FEDn's own aggregator combine updates."""
        for update in updates:
            self.round_handler.update_handler.model_updates.put(update)
        asked = self.config.get("aggregator_kwargs")
        parameters = Parameters(ast.literal_eval(asked)) if asked else None
        model, _ = self.round_handler.aggregator.combine_models(
            helper=helper, delete_models=False, parameters=parameters
        )
        return model  # type: ignore[no-any-return]

    def _record(self, outcome: dict[str, Any]) -> None:
        # The only part of FEDn's record of a round that takes what one likes; the sites have
        # their copy by now, and cannot write here as they can among the status messages.
        settings = self.config.get("client_settings") or {}
        self.config["client_settings"] = {**settings, "outcome": json.dumps(outcome)}
