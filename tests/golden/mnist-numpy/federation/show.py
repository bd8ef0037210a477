"""How results are shown in a terminal or in a log."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from . import standing
from .project import one_line

if TYPE_CHECKING:
    # Importing it takes a second, because it imports FEDn.
    from .rounds import Round

console = Console(highlight=False)


def show_round(result: "Round", sites: int) -> None:
    """Print one round as a line, after those about the sites that were not as they should be."""
    for line in standing.complaints(result.standing, str):
        say(f"round {result.number}: {line}")
    if not result.finished:
        say(f"round {result.number}: failed, {result.cause}")
        return
    metrics = "  ".join(f"{name} {number(value)}" for name, value in result.mean().items())
    # Sites with few held-out examples say how many there are, and no more.
    metrics = metrics or ("metrics withheld" if any(result.sites.values()) else "no metrics")
    updates = f"{result.updates} of {sites} sites"
    say(f"round {result.number}: {updates}  {metrics}  ({result.seconds:.1f} s)")


def show_table(results: "list[Round]", sites: int) -> None:
    """Print all rounds as a table."""
    if not results:
        return
    names = list(dict.fromkeys(name for result in results for name in result.mean()))
    table = Table("round", "sites", *(name.replace("_", " ") for name in names), "seconds")
    for result in results:
        metrics = [number(result.mean().get(name)) for name in names]
        updates = f"{result.updates}/{sites}"
        table.add_row(str(result.number), updates, *metrics, f"{result.seconds:.1f}")
    console.print(table)


def number(value: float | None) -> str:
    """Return a metric as text; a metric that no site could measure is a dash."""
    return "-" if value is None else f"{value:.4f}"


def say(line: str) -> None:
    """Print a line whole: a terminal may wrap it, a log must not."""
    # What a site is called, or says, must not move the cursor of who reads it.
    plain = "\n".join(map(one_line, line.split("\n")))
    console.print(plain, markup=False, soft_wrap=True)
