"""The worker processes of a simulation, and how they stop."""

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
    """The cause of a failed call, in one line; returned instead of a result."""

    cause: str


class Pool:
    """Worker processes with the same model library and clients.

    The processes start in the background.

    Args:
        workers: The number of processes.
        package: The folder of the unpacked archive.
        store: The folder of the clients' arrays.
    """

    def __init__(self, workers: int, package: Path, store: Path) -> None:
        os.environ.update(ONE_THREAD)
        self.workers = workers
        # Spawned, not forked: frameworks that run threads do not survive a fork.
        self.executor = ProcessPoolExecutor(
            workers,
            multiprocessing.get_context("spawn"),
            _start,
            (str(package), str(store)),
        )
        for _ in range(workers):
            self.executor.submit(os.getpid)

    def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of `Worker` in any process; return its result or a `Failure`."""
        return next(self.each(method, [arguments]))

    def each(
        self, method: Callable[..., Any], calls: Sequence[tuple[Any, ...]], together: int = 1
    ) -> Iterator[Any]:
        """Call a method of `Worker` once per tuple of arguments; yield the results in order.

        Args:
            method: The method.
            calls: The arguments of each call.
            together: The number of calls that are sent to a process at once. Sending a small call
                takes longer than running it.
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
        # Ask the workers to stop instead of killing them: a worker that is killed while it writes
        # a result leaves half of it, and the executor would wait for the rest forever.
        workers = multiprocessing.active_children()
        for process in workers:
            process.terminate()
        # A worker that runs after STOP_SECONDS is computing, not writing: kill it.
        killer = threading.Timer(STOP_SECONDS, _kill, [workers])
        killer.start()
        self.executor.shutdown(cancel_futures=True)
        killer.cancel()


def _kill(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.kill()


# This process's worker, set by `_start`.
_worker: Worker | Failure
# Whether this process should stop, and whether a signal may interrupt its current call.
_stopping = False
_interruptible = False


class _Interrupted(BaseException):
    """Interrupts a call. A user's `except Exception` does not catch it."""


def _start(package: str, store: str) -> None:
    # Ctrl-C signals the whole process group; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    global _worker
    _worker = _run_interruptibly(lambda: Worker(package, store))


def _stop(number: int, frame: FrameType | None) -> None:
    """Interrupt the current call, unless it is a message to the parent."""
    global _stopping
    _stopping = True
    if _interruptible:
        raise _Interrupted


def _run_interruptibly(work: Callable[[], Any]) -> Any:
    """Return the result of `work`, or a `Failure` if it raises or is interrupted."""
    global _interruptible
    try:
        _interruptible = True
        if _stopping:
            raise _Interrupted
        return work()
    except _Interrupted:
        return Failure("ended")
    except Exception as error:
        return _failure(error)
    finally:
        _interruptible = False


def _exit_with_parent() -> None:
    """Exit when the parent process has died."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _do(method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [_call(method, arguments) for arguments in calls]


def _call(method: str, arguments: tuple[Any, ...]) -> Any:
    if isinstance(_worker, Failure):
        return _worker
    return _run_interruptibly(lambda: getattr(_worker, method)(*arguments))


def _failure(error: Exception) -> Failure:
    # Text, because the parent may not be able to import the error's class.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    cause = " ".join(str(error).split()) or "no message"
    return Failure(f"{type(error).__name__}: {cause} ({place})")
