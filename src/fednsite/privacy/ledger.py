"""The site's own record of the noised updates that have left it: a JSON file that it keeps.

It is on disk before the update is, so no update leaves uncounted, even if the step is killed in
between. A ledger that cannot be read stops the training: a new one would forget what was sent.
"""

import errno
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..data.location import data_path
from ..errors import PackageError
from ..files import atomic_write, dump_json, read_json_object
from .mechanism import Terms
from .noise import FLOATING_POINT, NoiseSource

__all__ = ["Ledger", "ledger_path"]

LEDGER_VARIABLE = "PRIVACY_LEDGER"


def ledger_path() -> Path:
    """Return where the ledger lies: PRIVACY_LEDGER, or else beside the data.

    Beside it and not in it: a folder of data holds just one file, and may be read-only.
    """
    if named := os.environ.get(LEDGER_VARIABLE):
        return Path(named)
    # Resolved, because one data set has one ledger, by whatever path it is reached.
    data = data_path().resolve()
    return data.with_name(f"privacy-{data.name}.json")


class Ledger:
    """How many updates have left the site, by the multiplier of their noise."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[float, int]:
        """Return the updates so far: none where there is no ledger yet.

        Raises `PackageError` when the file holds anything but a ledger.
        """
        return self._read()[0]

    def read_safe_updates(self) -> int:
        """Return how many of the updates so far have noise that is safe in floating point."""
        return self._read()[1]

    def _read(self) -> tuple[dict[float, int], int]:
        try:
            content = read_json_object(self.path)
            updates = _updates(content)
            return updates, _safe_updates(content, sum(updates.values()))
        except FileNotFoundError:
            return {}, 0
        except (PackageError, ValueError) as error:
            cause = str(error).removeprefix(f"{self.path}: ")
            raise PackageError(
                f"{self.path}: expected the ledger of the updates that left this site, found: "
                f"{cause}; nothing was sent; put a whole copy of it back"
            ) from None

    def charge(self, terms: Terms, source: NoiseSource = FLOATING_POINT) -> dict[str, Any]:
        """Count one more update, on disk, if the budget allows it; return the statement about it.

        The statement says `exhausted` where the budget does not allow it, or else the source of
        the noise. Steps at the same time wait for one another.

        Raises:
            PackageError: The ledger cannot be read.
            OSError: It cannot be written.
        """
        with self._locked():
            updates, safe = self._read()
            if not terms.allow(updates):
                return terms.statement(updates, safe, exhausted=True)
            updates[terms.noise] = updates.get(terms.noise, 0) + 1
            statement = terms.statement(updates, safe + source.is_safe, exhausted=False)
            self._write(updates, statement)
        return {**statement, "noise_source": source.name}

    def _write(self, updates: dict[float, int], statement: dict[str, Any]) -> None:
        counts = {repr(noise): count for noise, count in sorted(updates.items())}
        # Epsilon and delta are for people; only the counts are read again.
        figures = {name: statement[name] for name in ("safe_updates", "epsilon", "delta")}
        content = {"updates": counts, **figures}
        with atomic_write(self.path) as file:
            file.write(dump_json(content))
            file.flush()
            os.fsync(file.fileno())
        # The new name is on disk when the folder is.
        folder = os.open(self.path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if sys.platform == "win32":
            raise PackageError(f"{self.path}: expected a POSIX system to keep it; use Docker")
        import fcntl

        # A file of its own, because every write puts another file in the ledger's place.
        lock = self.path.with_name(f".{self.path.name}.lock")
        try:
            file = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o644)
        except OSError as error:
            hint = f"set {LEDGER_VARIABLE} to a file that this site can write and will keep"
            what = os.strerror(error.errno or errno.EIO)
            raise PackageError(
                f"{self.path}: expected a place for the privacy ledger, found: {what}; {hint}"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def _updates(content: dict[str, Any]) -> dict[float, int]:
    counts = content.get("updates")
    if not isinstance(counts, dict):
        raise ValueError('no "updates" in it')
    updates: dict[float, int] = {}
    for text, count in counts.items():
        noise = float(text)
        if not 0 < noise < math.inf or type(count) is not int or not 0 < count < 2**53:
            raise ValueError(f"{json.dumps({text: count})} among its updates")
        updates[noise] = updates.get(noise, 0) + count
    return updates


def _safe_updates(content: dict[str, Any], updates: int) -> int:
    # A ledger of an earlier version has none.
    count = content.get("safe_updates", 0)
    if type(count) is not int or not 0 <= count <= updates:
        raise ValueError(f'"safe_updates" of {json.dumps(count)}, of {updates} updates')
    return count
