"""One check of the doctor."""

from collections.abc import Callable

from ..project.errors import PackageError

# Returns a few words when all is well, and raises `PackageError` with cause and cure if not.
Check = Callable[[], str]


def examine(check: Check) -> tuple[str, bool]:
    """Return a check's words, and whether something is wrong."""
    try:
        return check(), False
    except (PackageError, OSError) as error:
        return str(error), True
    except Exception as error:  # whatever a person's own model library raises
        return f"{type(error).__name__}: {' '.join(str(error).split())}", True
