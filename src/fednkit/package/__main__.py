"""Build the archive with only the standard library: python -m fednkit.package.

`make reproduce` runs this directly from the wheel, with every Python on the machine.
"""

from ..project.config import current
from ..project.errors import ProjectError
from .archive import build

__all__ = ["main"]


def main() -> None:
    """Build the archive of the project in the working folder."""
    try:
        build(current().archive)
    except ProjectError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
