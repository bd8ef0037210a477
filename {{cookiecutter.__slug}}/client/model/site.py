"""Where a site keeps its data."""

import os
from collections.abc import Collection
from pathlib import Path

from .errors import PackageError

# Where the data lies when FEDN_DATA_PATH is not set: the first sample site of the project,
# seen from the compute package.
DEFAULT_PATH = "../data/site-1"


def data_file(path: Path | None, suffixes: Collection[str]) -> Path:
    """Return the site's data file.

    path: the file, or a folder that holds just one; FEDN_DATA_PATH when not given.
    suffixes: the endings that count, such as ".csv".
    Raises `PackageError` when there is no such file, or more than one.
    """
    given = os.environ.get("FEDN_DATA_PATH")
    path = path or Path(given or DEFAULT_PATH)
    kinds = " or ".join(suffixes)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in suffixes)
        if len(files) != 1:
            raise PackageError(f"{path}: expected one {kinds} file in it, found {len(files)}")
        return files[0]
    if not path.is_file():
        hint = "" if given else "; set FEDN_DATA_PATH to the site's data file"
        raise PackageError(f"{path}: expected a data file ({kinds}), found none{hint}")
    if path.suffix not in suffixes:
        raise PackageError(f"{path}: expected a {kinds} file, found '{path.suffix}'")
    return path
