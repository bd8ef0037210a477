"""The location of a site's data."""

import os
import time
from collections.abc import Collection
from pathlib import Path

from ..errors import PackageError

__all__ = ["data_file", "data_path", "file_states", "metrics_minimum"]

# Used if FEDN_DATA_PATH is not set: the project's first trial site, relative to `client/`.
DEFAULT_DATA_PATH = "../data/site-1"
# Used if METRICS_MINIMUM is not set.
DEFAULT_METRICS_MINIMUM = 10

# The resolution of file times on some file systems; two changes within it look like one.
FILE_TIME_SECONDS = 2.0


def data_path() -> Path:
    """Return the path of the site's data: FEDN_DATA_PATH, or the project's first trial site."""
    return Path(os.environ.get("FEDN_DATA_PATH") or DEFAULT_DATA_PATH)


def metrics_minimum() -> int:
    """Return METRICS_MINIMUM: with fewer held-out examples, the site sends no metrics.

    Raises:
        PackageError: METRICS_MINIMUM is not a whole number of 0 or more.
    """
    text = os.environ.get("METRICS_MINIMUM") or str(DEFAULT_METRICS_MINIMUM)
    if not text.isdecimal():
        raise PackageError(f"METRICS_MINIMUM: expected a number of examples, found '{text}'")
    return int(text)


def file_states(path: Path) -> tuple[tuple[object, ...], ...] | None:
    """Return a value that changes when a data file, or a file in a data folder, changes on disk.

    Returns:
        The path, size, times and inode of each file; None if the data does not exist, or changed
        too recently to detect another change.
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

    Args:
        path: The file, or a folder with a single one; None means FEDN_DATA_PATH.
        suffixes: The valid file endings, such as ".csv".

    Raises:
        PackageError: There is no such file, or more than one.
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
