"""The server's record of one site: its tasks, and how much it may still send."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fedn.network.grpc.fedn_pb2 as fedn

__all__ = ["PREDICTION", "TRAINING", "VALIDATION", "Site"]

log = logging.getLogger("fedn")

# Kinds of tasks.
TRAINING = int(fedn.StatusType.MODEL_UPDATE)
VALIDATION = int(fedn.StatusType.MODEL_VALIDATION)
PREDICTION = int(fedn.StatusType.MODEL_PREDICTION)
# Limits on a site's statuses, metrics, attributes and telemetry, which FEDn stores: burst and rate.
MAX_STORED_BYTES = 1 << 24
STORED_BYTES_PER_SECOND = 1 << 16
# Counted per stored message, on top of its content.
MESSAGE_OVERHEAD_BYTES = 1 << 10
# Per kind of task: the newest models that a site may download or report on.
MAX_OPEN_TASKS = 8
# Distinct reports about one site in a round.
MAX_REPORTS = 5


@dataclass
class Site:
    """The server's record of one site.

    Attributes:
        client_id: FEDn's id of the site, from the initiator, its token or its registration.
        name: The site's name in the federation; never taken from a message.
        connection: The connection of its task stream; "" if there is none.
        tasks: By kind of task: the models of its newest tasks, and whether an answer is due.
    """

    client_id: str
    name: str
    connection: str = ""
    stream: Any = None
    last_seen: float = float("-inf")
    tasks: dict[int, dict[str, bool]] = field(default_factory=dict)
    reports: dict[str, None] = field(default_factory=dict)
    report_count: int = 0
    allowance: float = MAX_STORED_BYTES
    counted_at: float = 0.0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def ask(self, kind: int, model_id: str) -> None:
        """Record a task that the combiner gives to the site."""
        with self._lock:
            models = self.tasks.setdefault(kind, {})
            models[model_id] = True
            while len(models) > MAX_OPEN_TASKS:
                del models[next(iter(models))]

    def is_asked(self, kind: int, model_id: str) -> bool:
        """Return whether an answer to this task is due."""
        with self._lock:
            return self.tasks.get(kind, {}).get(model_id, False)

    def answer(self, kind: int, model_id: str) -> bool:
        """Return whether the site may answer this task, and close the task."""
        with self._lock:
            models = self.tasks.get(kind, {})
            if is_open := models.get(model_id, False):
                models[model_id] = False
            return is_open

    def was_given(self, model_id: str) -> bool:
        """Return whether the site has or had a task on this model."""
        with self._lock:
            return any(model_id in models for models in self.tasks.values())

    def may_store(self, size: int) -> bool:
        """Return whether a message of `size` bytes may be stored; if so, count it."""
        with self._lock:
            now = self.clock()
            earned = (now - self.counted_at) * STORED_BYTES_PER_SECOND
            self.allowance = min(self.allowance + earned, MAX_STORED_BYTES)
            self.counted_at = now
            if self.allowance < size + MESSAGE_OVERHEAD_BYTES:
                return False
            self.allowance -= size + MESSAGE_OVERHEAD_BYTES
            return True

    def report(self, what: str) -> None:
        """Record a violation, for the log and for the round's record."""
        with self._lock:
            self.report_count += 1
            if what in self.reports or len(self.reports) >= MAX_REPORTS:
                return
            self.reports[what] = None
        log.warning(f"{self.name}: {what}")

    def take_reports(self) -> list[str]:
        """Return the reports since the last call."""
        with self._lock:
            found, self.reports = [*self.reports], {}
            return found
