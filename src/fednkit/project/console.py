"""How results are printed to a terminal or to a log."""

from rich.console import Console

from .errors import one_line

__all__ = ["console", "number", "say"]

console = Console(highlight=False)


def number(value: float | None) -> str:
    """Return a metric as text; a metric that no site could measure is a dash."""
    return "-" if value is None else f"{value:.4f}"


def say(line: str) -> None:
    """Print a line whole: a terminal may wrap it, a log must not."""
    # A site's name, or its message, must not move the reader's cursor.
    plain = "\n".join(map(one_line, line.split("\n")))
    console.print(plain, markup=False, soft_wrap=True)
