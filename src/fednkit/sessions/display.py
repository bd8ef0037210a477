"""Print rounds on a network."""

from pathlib import Path

from rich.table import Table

from ..project.console import console, number, say
from ..project.paths import shown
from ..runs import outcomes
from ._live import live_table
from .rounds import Round

__all__ = ["finish", "live_table", "show_round", "show_table"]


def show_round(result: Round, sites: int) -> None:
    """Print one round as a line, after the warnings about its sites."""
    for line in outcomes.warnings(result.outcome, str):
        say(f"round {result.number}: {line}")
    if not result.finished:
        say(f"round {result.number}: failed, {result.cause}")
        return
    metrics = "  ".join(f"{name} {number(value)}" for name, value in result.mean().items())
    # Sites with few held-out examples send only their number.
    metrics = metrics or ("metrics withheld" if any(result.sites.values()) else "no metrics")
    updates = f"{result.updates} of {sites} sites"
    say(f"round {result.number}: {updates}  {metrics}  ({result.seconds:.1f} s)")


def show_table(results: list[Round], sites: int) -> None:
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


def finish(folder: Path, results: list[Round], sites: int) -> None:
    """Print all rounds as a table, and the paths of the newest model and the metrics."""
    show_table(results, sites)
    for name in ("model.npz", "metrics.json"):
        if (folder / name).exists():
            say(f"{name}: {shown(folder / name)}")
    if not any(folder.iterdir()):
        folder.rmdir()
