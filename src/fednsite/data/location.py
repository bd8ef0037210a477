"""Where a site keeps its data."""

import os
import time
from collections.abc import Collection
from pathlib import Path

from ..errors import PackageError

__all__ = ["data_file", "data_path", "file_states", "metrics_minimum"]

# When FEDN_DATA_PATH is not set: the first sample site of the project, seen from `client/`.
DEFAULT_DATA_PATH = "../data/site-1"
# With fewer held-out examples a site's metrics stay with it, when METRICS_MINIMUM is not set.
DEFAULT_METRICS_MINIMUM = 10

# Some file systems keep times so coarsely that a file may change twice without a trace.
FILE_TIME_SECONDS = 2.0


def data_path() -> Path:
    """Return where the site's data lies: FEDN_DATA_PATH, or else the project's first sample."""
    return Path(os.environ.get("FEDN_DATA_PATH") or DEFAULT_DATA_PATH)


def metrics_minimum() -> int:
    """Return below how many held-out examples the site sends no metrics: METRICS_MINIMUM.

    Raises `PackageError` when that is no whole number of 0 or more.
    """
    text = os.environ.get("METRICS_MINIMUM") or str(DEFAULT_METRICS_MINIMUM)
    if not text.isdecimal():
        raise PackageError(f"METRICS_MINIMUM: expected a number of examples, found '{text}'")
    return int(text)


def file_states(path: Path) -> tuple[tuple[object, ...], ...] | None:
    """Return what changes when a data file, or a file in a folder of them, changes on disk.

    Returns None where that cannot be told: there is nothing, or it changed only just now.
    """
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        found = [(file, file.stat()) for file in files]
    except OSError:
        return None
    if not all(max(s.st_mtime, s.st_ctime) < time.time() - FILE_TIME_SECONDS for _, s in found):
        return None
    return tuple((str(f), s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for f, s in found)


def data_file(path: Path | None, suffixes: Collection[str]) -> Path:
    """Return the site's data file.

    path: the file, or a folder that holds just one; FEDN_DATA_PATH when not given.
    suffixes: the endings that count, such as ".csv".
    Raises `PackageError` when there is no such file, or more than one.
    """
    path = path or data_path()
    kinds = " or ".join(suffixes)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in suffixes)
        if len(files) != 1:
            raise PackageError(f"{path}: expected one {kinds} file in it, found {len(files)}")
        return files[0]
    if not path.is_file():
        hint = (
            ""
            if os.environ.get("FEDN_DATA_PATH")
            else "; set FEDN_DATA_PATH to the site's data file"
        )
        raise PackageError(f"{path}: expected a data file ({kinds}), found none{hint}")
    if path.suffix not in suffixes:
        raise PackageError(f"{path}: expected a {kinds} file, found '{path.suffix}'")
    return path
