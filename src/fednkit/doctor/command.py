"""Find problems and print how to fix them: fednkit doctor.

A check is a function that returns a short summary, or raises `ProjectError` with the cause and the
fix. This module and _machine.py import only the standard library, so that they can report missing
packages.
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
        api_url: Also check this controller.
        token_env: Environment variable with an admin token for the controller.
    """

    api_url: str | None = None
    token_env: str | None = None


def run(options: Options) -> None:
    """Run all checks and print a line for each; raise `ProjectError` if any failed."""
    wrong: list[str] = []
    for group in groups(options, wrong):
        for name, check in group:
            words, failed = examine(check)
            print(f"{'wrong' if failed else 'ok':<6}{name}: {words}", flush=True)
            wrong += [name] * failed
    if wrong:
        raise ProjectError(f"{len(wrong)} to fix: {', '.join(wrong)}")


def groups(options: Options, wrong: list[str]) -> Iterator[Iterable[tuple[str, Check]]]:
    """Yield groups of checks; a problem in one group explains problems in later ones.

    Args:
        options: The options of the command.
        wrong: The names of the checks that failed so far; the caller adds to it.
    """
    yield machine.CHECKS.items()
    if {"python", "packages"} & set(wrong):
        # All other checks would fail as a consequence.
        return
    yield importlib.import_module("._project", __package__).CHECKS.items()
    if options.api_url:
        network = importlib.import_module("._controller", __package__)
        yield network.checks(options.api_url, options.token_env)
