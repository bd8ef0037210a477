"""Named checks, and a decorator that lets pytest run each as a separate test."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pytest

__all__ = ["Check", "expect", "parametrize_with_checks"]


class Check(NamedTuple):
    """A named check; calling it raises `AssertionError` with the problem and the fix."""

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Run the check."""
        self.run()


def expect(condition: bool, message: str) -> None:
    """Raise `AssertionError` with a message if a condition is false.

    pytest explains a failed `assert` only in tests, not in an installed library.
    """
    if not condition:
        raise AssertionError(message)


def parametrize_with_checks(
    checks: Sequence[Check], opt_outs: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Return a decorator that runs a test function once for each check.

    Args:
        checks: The result of `classifier_checks` or `package_checks`, or your own checks.
        opt_outs: The checks to skip: a reason for each name.

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
