"""Build the archive on the standard library alone: python -m fednkit.package.

`make reproduce` runs this straight from the wheel, with every Python of the machine.
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
