"""The checks of a compute package."""

from collections.abc import Callable

from . import _entry_points, _imports, _learning, _project, _worker
from ._check import Check

CHECKS: tuple[Callable[[], None], ...] = (
    *_project.CHECKS,
    *_imports.CHECKS,
    *_entry_points.CHECKS,
    *_learning.CHECKS,
    *_worker.CHECKS,
)


def package_checks() -> list[Check]:
    """Return the checks of the project in the working folder: its package, data and lock file."""
    return [Check(check.__name__, check) for check in CHECKS]
