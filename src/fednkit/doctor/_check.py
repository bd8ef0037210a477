"""Run one check of the doctor."""

from collections.abc import Callable

from ..project.errors import PackageError

# Returns a short summary on success; otherwise raises `PackageError` with the cause and the fix.
Check = Callable[[], str]


def examine(check: Check) -> tuple[str, bool]:
    """Return the summary or the error of a check, and whether it failed."""
    try:
        return check(), False
    except (PackageError, OSError) as error:
        return str(error), True
    except Exception as error:  # raised by the owner's model library
        return f"{type(error).__name__}: {' '.join(str(error).split())}", True
