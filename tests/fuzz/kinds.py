"""What a kind of input is, and the table of all kinds."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

# What a case is: bytes, or whatever its kind makes.
Case = Any


class WrongError(Exception):
    """A case that was not treated as it should be: what happened."""


@dataclass(frozen=True)
class Target:
    """The code that reads one kind of input, ready to be tried in this process.

    corpus: cases by what they are; those called `good` must be accepted. generate: makes one more.
    judge: has the code read a case; returns whether it was accepted, raises `WrongError`, or lets
    what the code raises through. refusals: what that may be.
    """

    corpus: Mapping[str, Case]
    good: Sequence[str]
    generate: Callable[[Random], Case]
    judge: Callable[[Case], bool]
    refusals: tuple[type[BaseException], ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of input: how many of 1,000 cases it gets, and what memory a case may take.

    module, maker: where `maker(scratch)` makes its target.
    megabytes: resident memory beyond what the process had before the case.
    """

    module: str
    maker: str
    share: int
    megabytes: int

    def ready(self, scratch: Path) -> Target:
        """Make its target, which may write what begins with "in" to a folder.

        A folder in there is gone after each case.
        """
        # Imported late: a process that tries one kind does not load the libraries of the others.
        maker = getattr(importlib.import_module(f"fuzz.{self.module}"), self.maker)
        target: Target = maker(scratch)
        return target


# The bounds: a model of under 1 MB is asked for, and images that unpack to 4 MB at most; a table's
# are polars' own buffers.
KINDS = {
    "model": Kind("models", "model", 300, 8),
    "step": Kind("steps", "step", 30, 24),
    "settings": Kind("jsons", "settings", 150, 24),
    "schema": Kind("jsons", "schema", 100, 24),
    "csv": Kind("tables", "csv", 60, 128),
    "parquet": Kind("parquets", "parquet", 40, 96),
    "table to draft from": Kind("drafts", "table", 20, 128),
    "images": Kind("images", "images", 80, 32),
    "images to draft from": Kind("drafts", "images", 20, 32),
    "package": Kind("packages", "package", 50, 40),
    "message": Kind("messages", "message", 50, 40),
    "run": Kind("runs", "run", 40, 48),
    "site's metrics": Kind("jsons", "metrics", 60, 24),
    "update": Kind("updates", "update", 60, 24),
    "told of privacy": Kind("sessions", "privacy", 40, 24),
    "resumed": Kind("sessions", "resumed", 40, 128),
    "signature": Kind("signatures", "signature", 60, 24),
    "client.yaml": Kind("sites", "client_yaml", 50, 40),
    "ledger": Kind("sites", "ledger", 40, 24),
}
