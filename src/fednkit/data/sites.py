"""Write the data of each site of the trial federation: data/site-1, data/site-2 and so on."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from ..project.config import current
from ..project.console import console
from ..project.errors import ProjectError
from ..project.paths import shown
from . import partition
from .kinds import Sample, kind
from .partition import Method

__all__ = [
    "RECORD_NAME",
    "Options",
    "SpreadOptions",
    "make_sample",
    "run",
    "show_counts",
    "spread",
]

# This file marks sites that this command made. Without it, the sites are the user's own data.
RECORD_NAME = "sites.json"
MAX_ROWS_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class SpreadOptions:
    """The examples, and how to split them among sites.

    Attributes:
        source: Split this file instead of sample data.
        examples: Total number of sample examples (default: the whole sample).
        partition: How the sites differ. iid: not at all; dirichlet: in their shares of each class;
            shards: each has about two classes; quantity: in their numbers of examples; column:
            one site for each value of --column.
        alpha: Similarity of the sites with dirichlet and quantity; smaller values differ more.
        column: Column to split by, with --partition column.
        seed: Random seed; equal seeds give equal sites.

    Raises:
        ProjectError: An option is out of range, or conflicts with another one.
    """

    source: Path | None = None
    examples: int | None = None
    partition: Method = "iid"
    alpha: float = 0.5
    column: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ProjectError(f"--alpha: expected a number above 0, found {self.alpha:g}")
        if self.examples is not None and self.examples < 1:
            raise ProjectError(f"--examples: expected 1 or more, found {self.examples}")
        if (self.partition == "column") != (self.column is not None):
            raise ProjectError("--partition column and --column NAME go together")


@dataclass(frozen=True, kw_only=True)
class Options(SpreadOptions):
    """Options of `fednkit sites`.

    Attributes:
        sites: Number of sites (default: 2, or one for each value of --column).
        force: Overwrite site data that this command did not make.
    """

    sites: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sites is not None and self.sites < 1:
            raise ProjectError(f"--sites: expected 1 or more, found {self.sites}")


def run(options: Options) -> None:
    """Make or read the examples, write one file per site, and print the class counts."""
    before = sorted(current().data.glob("site-*"))
    if before and not (current().data / RECORD_NAME).exists() and not options.force:
        raise ProjectError(
            f"{shown(before[0])} was not made by this command; move it away, or add --force"
        )
    everything, parts = spread(options, options.sites, default=2)

    sample = Path(kind().FILE_NAME)
    name = options.source.with_suffix(sample.suffix).name if options.source else sample.name
    fresh = current().data / ".sites"
    shutil.rmtree(fresh, ignore_errors=True)
    for number, rows in enumerate(parts, start=1):
        folder = fresh / f"site-{number}"
        folder.mkdir(parents=True)
        kind().write(everything, rows, folder / name)
    for folder in before:
        shutil.rmtree(folder)
    for folder in sorted(fresh.iterdir()):
        folder.rename(current().data / folder.name)
    fresh.rmdir()
    made = ("partition", "alpha", "column", "seed")
    record = {
        "source": str(options.source.resolve()) if options.source else None,
        **{name: value for name, value in asdict(options).items() if name in made},
    }
    (current().data / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    labels = kind().labels(everything)
    classes = int(labels.max()) + 1
    show_counts(np.stack([np.bincount(labels[rows], minlength=classes) for rows in parts]))
    print(f"data: {shown(current().data / 'site-*' / name)}")


def make_sample(sites: int) -> None:
    """Make sample data for a number of sites with default options."""
    run(Options(sites=sites))


def spread(
    options: SpreadOptions, sites: int | None, default: int, classes: int = 2
) -> tuple[Sample, list[partition.Rows]]:
    """Return all examples and the row numbers of each site.

    Args:
        options: The examples and the method.
        sites: The number of sites; None means `default`, or one for each value of the column.
        default: The number of sites for None, unless the split is by column.
        classes: The number of classes that each site needs; see `partition.spread`.

    Raises:
        ProjectError: The examples cannot be read, or cannot be split this way.
    """
    everything = (
        kind().read(options.source)
        if options.source
        else kind().make(options.examples, options.seed)
    )
    column = kind().column(everything, options.column) if options.column else None
    if sites is None:
        sites = default if column is None else len(np.unique(column))
    parts = partition.spread(
        options.partition,
        kind().labels(everything),
        sites,
        options.alpha,
        column,
        np.random.default_rng(options.seed),
        classes,
    )
    return everything, parts


def show_counts(counts: partition.Rows) -> None:
    """Print a table of each site's examples.

    Args:
        counts: int64, shape (sites, classes), the number of examples of each class.
    """
    table = Table("site", "examples", *(f"class {label}" for label in range(counts.shape[1])))
    for number, row in enumerate(counts[:MAX_ROWS_SHOWN], start=1):
        table.add_row(str(number), f"{row.sum():,}", *(f"{count:,}" for count in row))
    console.print(table)
    if len(counts) > MAX_ROWS_SHOWN:
        console.print(f"and {len(counts) - MAX_ROWS_SHOWN} more sites")
