"""What a kind of input is, and the table of all kinds."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

# What a case is: bytes, or whatever its kind makes.
Case = Any


class WrongError(Exception):
    """A case that was not treated as it should be: what happened."""


@dataclass(frozen=True)
class Judged:
    """One kind, ready to be tried in this process.

    corpus: cases by what they are. generate: makes one more. judge: has the code under test read
    it; returns whether it was taken, raises `WrongError`, or lets what the code raises through.
    refusals: what the code under test may raise. clean: called after
    each case.
    """

    corpus: Mapping[str, Case]
    generate: Callable[[Random], Case]
    judge: Callable[[Case], bool]
    refusals: tuple[type[BaseException], ...]
    clean: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Kind:
    """A kind of input: how many of 1,000 cases it gets, and what memory a case may take.

    module, maker: where `maker(project, scratch)` makes it ready, and in which task's project.
    megabytes: resident memory beyond what the process had before the case.
    """

    module: str
    maker: str
    task: str
    share: int
    megabytes: int

    def ready(self, project: Path, scratch: Path) -> Judged:
        """Make it ready in this process, which can import the project's library."""
        maker: Callable[[Path, Path], Judged] = getattr(
            importlib.import_module(f"fuzz.{self.module}"), self.maker
        )
        return maker(project, scratch)


# The bounds: a model of under 1 MB is asked for, and images that unpack to 4 MB at most; a table's
# are polars' own buffers.
KINDS = {
    "model": Kind("models", "model", "fraud", 300, 8),
    "step": Kind("models", "step", "fraud", 30, 24),
    "settings": Kind("jsons", "settings", "fraud", 150, 24),
    "schema": Kind("jsons", "schema", "fraud", 100, 24),
    "csv": Kind("tables", "csv", "fraud", 60, 128),
    "parquet": Kind("tables", "parquet", "fraud", 40, 96),
    "table to draft from": Kind("tables", "draft", "fraud", 20, 128),
    "images": Kind("images", "images", "mnist", 80, 32),
    "images to draft from": Kind("images", "draft", "mnist", 20, 32),
    "package": Kind("archives", "package", "fraud", 50, 40),
    "message": Kind("messages", "message", "fraud", 50, 40),
    "run": Kind("folders", "run", "fraud", 40, 48),
    "site's metrics": Kind("jsons", "sent", "fraud", 60, 24),
    "update": Kind("federated", "update", "fraud", 60, 24),
    "told of privacy": Kind("federated", "told", "fraud", 40, 24),
    "resumed": Kind("federated", "resumed", "fraud", 40, 128),
    "signature": Kind("sites", "signature", "fraud", 60, 24),
    "client.yaml": Kind("sites", "client_yaml", "fraud", 50, 40),
    "ledger": Kind("sites", "ledger", "fraud", 40, 24),
}
