"""What a simulation's worker processes do: train and measure models, for any client in turn.

A worker imports the model library once, from the unpacked archive, and maps the clients' examples
from files that all workers share. Nothing but the compiled model stays between two calls.
"""

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .clients import Clients
from .processes import ONE_THREAD, PATIENCE

Weights = list[npt.NDArray[Any]]
Metrics = dict[str, float]


class Failure(NamedTuple):
    """What a worker returns instead of a result: why, in one line."""

    cause: str


class Worker:
    """One process's model library, model and view of the clients."""

    def __init__(
        self, package: str, store: str, input_shape: tuple[int, ...], num_classes: int
    ) -> None:
        sys.path.insert(0, package)
        from model import metrics
        from model.classifier import Classifier

        self.measure_predictions = metrics.evaluate
        self.clients = Clients.load(Path(store))
        self.classifier = Classifier(input_shape, num_classes)
        self.held_out = self.clients.rows(held_out=True)

    def ready(self) -> None:
        """Do nothing, which a worker can that has loaded the model library."""

    def train(self, client: int, weights: Weights, sent: dict[str, Any]) -> tuple[Weights, int]:
        """Do what the package's train.py does; return the update and its number of examples."""
        rows = self.clients.train(client)
        # A native int, as JSON gives FEDn: numpy's would turn the average into float64.
        return self._fit(rows, weights, sent), int(rows.stop - rows.start)

    def measure(self, weights: Weights) -> tuple[Metrics, list[Metrics]]:
        """Measure a model on all held-out examples together, and on each client's."""
        self._set(weights)
        probabilities = self.classifier.predict(self.clients.features[self.held_out])
        labels = self.clients.labels[self.held_out]
        sizes = self.clients.bounds[:, 2] - self.clients.bounds[:, 1]
        spans = np.split(np.arange(len(labels)), np.cumsum(sizes)[:-1])
        each = [self.measure_predictions(labels[span], probabilities[span]) for span in spans]
        return self.measure_predictions(labels, probabilities), each

    def alone(
        self, client: int, weights: Weights, sent: dict[str, Any], rounds: int
    ) -> tuple[Metrics, Metrics]:
        """Train a client by itself for as many rounds.

        Returns the metrics on all held-out examples together, and on its own.
        """
        for _ in range(rounds):
            weights = self._fit(self.clients.train(client), weights, sent)
        everywhere, each = self.measure(weights)
        return everywhere, each[client]

    def central(self, weights: Weights, sent: dict[str, Any], rounds: int) -> list[Metrics]:
        """Train on all clients' examples together; return the metrics after each round."""
        rows = self.clients.rows(held_out=False)
        measured = []
        for _ in range(rounds):
            weights = self._fit(rows, weights, sent)
            measured.append(self.measure(weights)[0])
        return measured

    def _fit(
        self, rows: slice | npt.NDArray[np.int64], weights: Weights, sent: dict[str, Any]
    ) -> Weights:
        from model.dataset import Dataset
        from model.seeding import training_seed
        from model.settings import Settings

        settings = Settings.override(sent)
        dataset = Dataset(self.clients.features[rows], self.clients.labels[rows])
        received = self._set(weights)
        seed = training_seed(settings.seed, received, [dataset.features, dataset.labels])
        self.classifier.fit(dataset, settings, seed)
        trained: Weights = self.classifier.get_weights()
        if not all(np.isfinite(array).all() for array in trained):
            raise ValueError("the trained model holds NaN or infinite values")
        return trained

    def _set(self, weights: Weights) -> Weights:
        # As the package reads a model file: FEDn's fedopt makes float64 of everything.
        like = self.classifier.get_weights()
        received = [w.astype(held.dtype) for w, held in zip(weights, like, strict=True)]
        self.classifier.set_weights(received)
        return received


class Pool:
    """Worker processes that all hold the same model library and clients.

    input_shape, num_classes: of the model. The processes start at once, so that the caller can
    do something else until they are there.
    """

    def __init__(
        self,
        workers: int,
        package: Path,
        store: Path,
        input_shape: tuple[int, ...],
        num_classes: int,
    ) -> None:
        os.environ.update(ONE_THREAD)
        self.workers = workers
        # Spawned, not forked: frameworks with threads of their own do not survive a fork.
        self.executor = ProcessPoolExecutor(
            workers,
            multiprocessing.get_context("spawn"),
            _start,
            (str(package), str(store), input_shape, num_classes),
        )
        for _ in range(workers):
            self.executor.submit(os.getpid)

    def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Have some worker do a method of `Worker`; return its result or a `Failure`."""
        return next(self.each(method, [arguments]))

    def each(
        self, method: Callable[..., Any], calls: Sequence[tuple[Any, ...]], together: int = 1
    ) -> Iterator[Any]:
        """Have the workers do a method once per tuple of arguments; the results come in order.

        together: how many calls go to a worker at a time; small ones cost more to send than to do.
        """
        groups = [calls[start : start + together] for start in range(0, len(calls), together)]
        futures = [self.executor.submit(_do, method.__name__, group) for group in groups]
        return (result for future in futures for result in future.result())

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if not kind:
            self.executor.shutdown()
            return
        # Nobody waits for the rest of a long training any more. The workers end their calls
        # themselves: one that is killed while it writes a result leaves half of it to be read,
        # and the executor would wait for the other half without end.
        workers = multiprocessing.active_children()
        for process in workers:
            process.terminate()
        # Who has not heard by then is deep in a computation, and not writing.
        killer = threading.Timer(PATIENCE, _kill, [workers])
        killer.start()
        self.executor.shutdown(cancel_futures=True)
        killer.cancel()


def _kill(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.kill()


# The one of this process, once `_start` has made it.
_worker: Worker | Failure
# Whether this process is to end, and whether it is at something that a signal may break off.
_ending = False
_breakable = False


class _Ended(BaseException):
    """Breaks off what a worker does. No user's `except Exception` catches it."""


def _start(package: str, store: str, input_shape: tuple[int, ...], num_classes: int) -> None:
    # A Ctrl-C reaches the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    global _worker
    _worker = _break_off(lambda: Worker(package, store, input_shape, num_classes))


def _end(number: int, frame: FrameType | None) -> None:
    """Break off what is going on here, unless it is a message to the parent."""
    global _ending
    _ending = True
    if _breakable:
        raise _Ended


def _break_off(work: Callable[[], Any]) -> Any:
    """Return what `work` returns; a `Failure` if it raises, or when this process is to end."""
    global _breakable
    try:
        _breakable = True
        if _ending:
            raise _Ended
        return work()
    except _Ended:
        return Failure("ended")
    except Exception as error:
        return _failure(error)
    finally:
        _breakable = False


def _end_with_parent() -> None:
    """End this process when its parent has been killed, and nobody will ask it for more."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _do(method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [_call(method, arguments) for arguments in calls]


def _call(method: str, arguments: tuple[Any, ...]) -> Any:
    if isinstance(_worker, Failure):
        return _worker
    return _break_off(lambda: getattr(_worker, method)(*arguments))


def _failure(error: Exception) -> Failure:
    # As text, because the parent may not be able to import the error's class.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    cause = " ".join(str(error).split()) or "no message"
    return Failure(f"{type(error).__name__}: {cause} ({place})")
