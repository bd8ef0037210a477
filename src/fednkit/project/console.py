"""Print results to a terminal or to a log."""

from rich.console import Console

from .errors import one_line

__all__ = ["console", "number", "say"]

console = Console(highlight=False)


def number(value: float | None) -> str:
    """Return a metric as text; "-" for a metric that no site measured."""
    return "-" if value is None else f"{value:.4f}"


def say(line: str) -> None:
    """Print a line without wrapping it; a terminal may still wrap it."""
    # Site names and messages are untrusted, so remove control characters.
    plain = "\n".join(map(one_line, line.split("\n")))
    console.print(plain, markup=False, soft_wrap=True)
