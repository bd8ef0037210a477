"""Which updates count in a round: one of each site that was asked, made from the round's model."""

import json
import queue
import threading
from typing import Any

from ..project.paths import by_number
from ._models import SiteModels
from ._site import TRAINING
from ._sites import Sites

__all__ = ["RoundUpdates"]


class RoundUpdates:
    """A combiner's inbox of updates.

    FEDn counts and averages everything that arrives while a round waits: also the update of a site
    that was late for the round before, one that was sent twice because the answer was lost, and as
    many as a site likes to send under other names. What FEDn drops, because its message has no
    number of examples, it waits for until the timeout; here it counts as the site's answer, and
    the guard rejects it.

    Args:
        combiner: FEDn's combiner, which asks sites for updates.
        handler: FEDn's update handler, which keeps them until they are combined.
        sites: Who was asked for what.
        models: Where the sites upload their models to.
    """

    def __init__(self, combiner: Any, handler: Any, sites: Sites, models: SiteModels) -> None:
        self._combiner, self._sites, self._models = combiner, sites, models
        self._updates: queue.Queue[Any] = handler.model_updates
        self._ask, self._wait = combiner.request_model_update, handler.waitforit
        self._put = combiner._put_request_to_client_queue
        self._lock = threading.Lock()
        self._model_id = self._round_id = ""
        combiner._put_request_to_client_queue = self._note_and_put
        combiner.request_model_update = self._request
        handler.on_model_update = self._receive
        handler.waitforit = self._wait_and_sort

    def _note_and_put(self, task: Any, queue_name: Any) -> None:
        self._sites.ask(task.receiver.client_id, int(task.type), task.model_id)
        self._put(task, queue_name)

    def _request(
        self, session_id: str, model_id: str, config: Any, clients: list[str] | None = None
    ) -> None:
        with self._lock:
            self._model_id, self._round_id = model_id, str(config["round_id"])
            self._models.begin_round(model_id)
            while not self._updates.empty():
                self._updates.get()
        self._ask(session_id, model_id, config, clients or self._combiner.get_active_trainers())

    def _receive(self, update: Any) -> None:
        """Take an update, whose sender is the true one."""
        if (site := self._sites.by_id(update.sender.client_id)) is None:
            return
        with self._lock:
            if (
                update.model_id == self._model_id
                and _round_id(update) in (self._round_id, None)
                and site.answer(TRAINING, update.model_id)
            ):
                self._updates.put(update)
                return
        site.report("an update was dropped: another round's, or one too many")

    def _wait_and_sort(self, *arguments: Any, **options: Any) -> None:
        """Wait for the round's updates, and put them in the order of the sites' numbers.

        FEDn combines them as they come in, and a sum depends on its order in the last bit. With one
        order a run repeats bit for bit, and a simulation of it comes to the same model.
        """
        self._wait(*arguments, **options)
        with self._lock:
            # FEDn's aggregator drains this queue: what came late would be averaged unchecked.
            self._model_id = ""
            self._models.end_round()
            arrived = [self._updates.get() for _ in range(self._updates.qsize())]
        for update in sorted(arrived, key=lambda update: by_number(update.sender.name)):
            self._updates.put(update)


def _round_id(update: Any) -> str | None:
    """Return the round that an update says it is of, None if it does not.

    A round that failed is repeated from the same model. FEDn's client sends the settings that it
    was asked with back, and so tells the late update of the first try from that of the second.
    """
    try:
        return str(json.loads(json.loads(update.meta)["config"])["round_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
