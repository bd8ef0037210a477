"""Format paths and sort names for people."""

from pathlib import Path

__all__ = ["by_number", "shown"]


def shown(path: Path) -> str:
    """Return a path as text, relative to the working folder if it lies below that."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def by_number(name: str) -> tuple[int, str]:
    """Return a sort key that puts site-2 before site-10."""
    return len(name), name
