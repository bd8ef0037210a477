"""Processes that do the work of a simulation, and end when they must."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from ..project.processes import ONE_THREAD, STOP_SECONDS
from ._workers import Worker


class Failure(NamedTuple):
    """What a worker returns instead of a result: why, in one line."""

    cause: str


class Pool:
    """Worker processes that all hold the same model library and clients.

    The processes start at once, so that the caller can do something else until they are there.

    Args:
        workers: How many processes.
        package: The folder of the unpacked archive.
        store: The folder of the clients' arrays.
    """

    def __init__(self, workers: int, package: Path, store: Path) -> None:
        os.environ.update(ONE_THREAD)
        self.workers = workers
        # Spawned, not forked: frameworks with threads of their own do not survive a fork.
        self.executor = ProcessPoolExecutor(
            workers,
            multiprocessing.get_context("spawn"),
            _start,
            (str(package), str(store)),
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
        killer = threading.Timer(STOP_SECONDS, _kill, [workers])
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


def _start(package: str, store: str) -> None:
    # A Ctrl-C reaches the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    global _worker
    _worker = _break_off(lambda: Worker(package, store))


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
