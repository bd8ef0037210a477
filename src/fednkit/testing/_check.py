"""Checks with names, and how pytest runs each as a test of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pytest

__all__ = ["Check", "expect", "parametrize_with_checks"]


class Check(NamedTuple):
    """One named check; calling it raises `AssertionError` with what is wrong and what to do."""

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Run the check."""
        self.run()


def expect(condition: bool, message: str) -> None:
    """Raise `AssertionError` unless a condition holds.

    pytest shows the values of an `assert` in tests only, and not in an installed library.
    """
    if not condition:
        raise AssertionError(message)


def parametrize_with_checks(
    checks: Sequence[Check], opt_outs: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Return a decorator that runs a test function once for each check.

    Args:
        checks: What `classifier_checks` and `package_checks` return, or checks of your own.
        opt_outs: The checks that do not concern this project, by name, each with a reason.

    Raises:
        ValueError: An opt-out names no check, or has no reason.
    """
    names = [check.name for check in checks]
    for name, reason in (opt_outs or {}).items():
        if name not in names:
            raise ValueError(f"opt_outs: expected one of {', '.join(names)}, found '{name}'")
        if not reason.strip():
            raise ValueError(f"opt_outs: '{name}': expected a reason, found none")
    skipped = {
        name: [pytest.mark.skip(reason=f"opted out: {reason}")]
        for name, reason in (opt_outs or {}).items()
    }
    cases = [
        pytest.param(check, id=check.name, marks=skipped.get(check.name, [])) for check in checks
    ]
    return pytest.mark.parametrize("check", cases)
