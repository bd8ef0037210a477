"""Look for what is wrong, and say what fixes it: fednkit doctor.

Every check is a function that returns a few words when all is well and raises `ProjectError`
with the cause and the cure when it is not. This module and _machine.py run on the standard
library alone, because a missing package is one of the things to find.
"""

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..project.errors import ProjectError
from . import _machine as machine
from ._check import Check, examine

__all__ = ["Options", "groups", "run"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit doctor`.

    Attributes:
        api_url: Check this controller too.
        token_env: Environment variable that holds an admin token for it.
    """

    api_url: str | None = None
    token_env: str | None = None


def run(options: Options) -> None:
    """Make every check and print a line for each; raise `ProjectError` if one found something."""
    wrong: list[str] = []
    for group in groups(options, wrong):
        for name, check in group:
            words, failed = examine(check)
            print(f"{'wrong' if failed else 'ok':<6}{name}: {words}", flush=True)
            wrong += [name] * failed
    if wrong:
        raise ProjectError(f"{len(wrong)} to fix: {', '.join(wrong)}")


def groups(options: Options, wrong: list[str]) -> Iterator[Iterable[tuple[str, Check]]]:
    """Yield the checks in the order in which a fault of one explains those of the next.

    wrong: the names of the checks that have found something so far.
    """
    yield machine.CHECKS.items()
    if {"python", "packages"} & set(wrong):
        # All others would fail for that alone.
        return
    yield importlib.import_module("._project", __package__).CHECKS.items()
    if options.api_url:
        network = importlib.import_module("._controller", __package__)
        yield network.checks(options.api_url, options.token_env)
