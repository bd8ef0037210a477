"""List, compare and remove runs."""

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from ..project.config import current
from ..project.console import console, number, say
from ..project.errors import ProjectError
from ..project.paths import shown
from . import records
from ._fields import as_metrics, parsed, read_text
from .run import Run

__all__ = ["ACTIONS", "Options", "Summary", "compare", "remove", "run", "summary"]

# The folders that `new_folder` makes: a time, the command, and a number where two began at once.
NAME = re.compile(r"\d{8}-\d{6}-([a-z]+)(?:-\d+)?")
NO_RECORD = "no round has ended"


@dataclass(frozen=True)
class Summary:
    """What is known of a run.

    Attributes:
        folder: Under runs/.
        kind: The command that began it.
        rounds: How many ended.
        options: Of the command, by name.
        metrics: Of the last global model, the headline first.
        note: Why there is no more to say; empty otherwise.
    """

    folder: Path
    kind: str
    rounds: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Options:
    """Options of `fednkit runs compare` and `fednkit runs remove`.

    Attributes:
        runs: Folders under runs/.
    """

    runs: tuple[Path, ...]


def compare(options: Options) -> None:
    """Show the options that differ between runs, and the metrics."""
    show_comparison([summary(_run_folder(path)) for path in options.runs])


def remove(options: Options) -> None:
    """Remove runs, with their models."""
    # All of them are checked before the first one goes.
    for folder in [_run_folder(path) for path in options.runs]:
        shutil.rmtree(folder)
        say(f"removed: {shown(folder)}")


def run() -> None:
    """List all runs, the oldest first (the default)."""
    folders = sorted(current().runs.glob("*")) if current().runs.exists() else []
    found = [summary(folder) for folder in folders if NAME.fullmatch(folder.name)]
    if not found:
        say(f"no runs under {shown(current().runs)}; make one: fednkit simulate, fednkit network")
        return
    table = Table("run", "rounds", "aggregator", "after the last round")
    for one in found:
        metrics = [f"{name} {number(value)}" for name, value in one.metrics.items()][:1]
        aggregator = str(one.options.get("aggregator") or "-")
        table.add_row(one.folder.name, str(one.rounds), aggregator, one.note or "".join(metrics))
    console.print(table)


def show_comparison(found: list[Summary]) -> None:
    """Print the options that differ between runs, then the metrics of their last models."""
    table = Table("", *(one.folder.name for one in found))
    table.add_row("rounds", *(str(one.rounds) for one in found))
    names = dict.fromkeys(name for one in found for name in one.options)
    for name in names:
        values = [one.options.get(name) for one in found]
        if any(value != values[0] for value in values):
            texts = ("-" if value is None else str(value) for value in values)
            table.add_row(f"--{name.replace('_', '-')}", *texts)
    table.add_section()
    for name in dict.fromkeys(name for one in found for name in one.metrics):
        table.add_row(name.replace("_", " "), *(number(one.metrics.get(name)) for one in found))
    console.print(table)
    for one in found:
        if one.note:
            say(f"{one.folder.name}: {one.note}")


def summary(folder: Path) -> Summary:
    """Return what is known of a run, also of one that has ended too early to say much."""
    named = NAME.fullmatch(folder.name)
    kind = named[1] if named else ""
    try:
        if (folder / "config.json").exists():
            simulated = Run.read(folder)
            last = simulated.lines[-1]["global"]
            ordered = {simulated.metric: last.get(simulated.metric), **last}
            return Summary(
                folder, kind, len(simulated.lines) - 1, simulated.config["options"], ordered
            )
        if not (folder / "metrics.json").exists():
            return Summary(folder, kind, note=NO_RECORD)
        record = parsed(read_text(folder / "metrics.json", records.MAX_ROUNDS_BYTES))
        rounds = [entry for entry in record["rounds"] if entry["finished"]]
        metrics = as_metrics(rounds[-1]["mean"]) if rounds else {}
        return Summary(
            folder, kind, len(rounds), dict(record["options"]), metrics, "" if rounds else NO_RECORD
        )
    except (ProjectError, OSError, records.RecordError, ValueError, KeyError, TypeError) as error:
        return Summary(folder, kind, note=f"cannot be read: {type(error).__name__}: {error}")


def _run_folder(path: Path) -> Path:
    """Return the folder of a run: a path, or its name under runs/. Raises `ProjectError`."""
    runs = current().runs
    folder = path if path.exists() else runs / path.name
    own = folder.absolute().parent == runs.absolute() and not folder.is_symlink()
    if not (own and folder.is_dir() and NAME.fullmatch(folder.name)):
        raise ProjectError(f"expected the folder of a run under {shown(runs)}, found {shown(path)}")
    return folder


ACTIONS = {"list": run, "compare": compare, "remove": remove}
