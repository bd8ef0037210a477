"""Which updates count in a round: one of each site that was asked, made from the round's model."""

import queue
import threading
from typing import Any

from ..project.paths import by_number

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
    """

    def __init__(self, combiner: Any, handler: Any) -> None:
        self._combiner = combiner
        self._updates: queue.Queue[Any] = handler.model_updates
        self._ask, self._wait = combiner.request_model_update, handler.waitforit
        self._lock = threading.Lock()
        self._model_id = ""
        self._asked: set[str] = set()
        combiner.request_model_update = self._request
        handler.on_model_update = self._receive
        handler.waitforit = self._wait_and_sort

    def _request(
        self, session_id: str, model_id: str, config: Any, clients: list[str] | None = None
    ) -> None:
        asked = list(clients or self._combiner.get_active_trainers())
        with self._lock:
            self._model_id, self._asked = model_id, set(asked)
            while not self._updates.empty():
                self._updates.get()
        self._ask(session_id, model_id, config, asked)

    def _receive(self, update: Any) -> None:
        with self._lock:
            if update.model_id == self._model_id and update.sender.client_id in self._asked:
                self._asked.remove(update.sender.client_id)
                self._updates.put(update)
                return
        line = f"dropped an update of {update.sender.name!r}: another round's, or one too many"
        print(line, flush=True)

    def _wait_and_sort(self, *arguments: Any, **options: Any) -> None:
        """Wait for the round's updates, and put them in the order of the sites' numbers.

        FEDn combines them as they come in, and a sum depends on its order in the last bit. With one
        order a run repeats bit for bit, and a simulation of it comes to the same model.
        """
        self._wait(*arguments, **options)
        with self._lock:
            # FEDn's aggregator drains this queue: what came late would be averaged unchecked.
            self._asked.clear()
            arrived = [self._updates.get() for _ in range(self._updates.qsize())]
        for update in sorted(arrived, key=lambda update: by_number(update.sender.name)):
            self._updates.put(update)
