"""Give every site of the trial federation its own data: data/site-1, data/site-2 and so on."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from . import partition, samples
from .project import DATA, ProjectError, shown

# Left beside the sites that this command made; without it they are somebody's own data.
RECORD = "sites.json"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation sites`."""
    parser.add_argument(
        "--sites", type=int, default=2, metavar="N", help="how many sites (default 2)"
    )
    parser.add_argument(
        "--source", type=Path, metavar="FILE", help="spread this file of yours, not sample data"
    )
    parser.add_argument(
        "--examples",
        type=int,
        metavar="N",
        help=f"how many examples of sample data in all (default {samples.EXAMPLES})",
    )
    parser.add_argument(
        "--partition",
        choices=("iid", "dirichlet"),
        default="iid",
        help="iid (default): all sites alike; dirichlet: they differ in their shares of a class",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        default=0.5,
        help="for dirichlet: the smaller, the more the sites differ (default 0.5)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="equal seeds give equal sites (default 0)"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace site data that this command did not make"
    )


def run(options: argparse.Namespace) -> None:
    """Make or read the examples, spread them, write one file per site, show who got what."""
    make_sites(
        sites=options.sites,
        source=options.source,
        examples=options.examples,
        method=options.partition,
        alpha=options.alpha,
        seed=options.seed,
        force=options.force,
    )
    print("next: python -m federation network")


def make_sites(
    sites: int = 2,
    source: Path | None = None,
    examples: int | None = None,
    method: str = "iid",
    alpha: float = 0.5,
    seed: int = 0,
    force: bool = False,
) -> None:
    """Do what `run` says. Raises `ProjectError`; the sites before are then left as they were."""
    if sites < 1:
        raise ProjectError(f"--sites: expected 1 or more, found {sites}")
    if not alpha > 0:
        raise ProjectError(f"--alpha: expected a number above 0, found {alpha:g}")
    if examples is not None and examples < 1:
        raise ProjectError(f"--examples: expected 1 or more, found {examples}")
    before = sorted(DATA.glob("site-*"))
    if before and not (DATA / RECORD).exists() and not force:
        raise ProjectError(
            f"{shown(before[0])} was not made by this command; move it away, or add --force"
        )

    everything = samples.read(source) if source else samples.make(examples, seed)
    labels = samples.labels(everything)
    random = np.random.default_rng(seed)
    parts = (
        partition.dirichlet(labels, sites, alpha, random)
        if method == "dirichlet"
        else partition.iid(labels, sites, random)
    )

    if not all(partition.can_learn(labels[rows]) for rows in parts):
        raise ProjectError(
            f"{sites} sites are too many for {len(labels):,} examples: "
            f"each needs {partition.FEWEST_PER_CLASS} of two classes"
        )

    fresh = DATA / ".sites"
    shutil.rmtree(fresh, ignore_errors=True)
    for number, rows in enumerate(parts, start=1):
        folder = fresh / f"site-{number}"
        folder.mkdir(parents=True)
        samples.write(everything, rows, folder / samples.FILE_NAME)
    for folder in before:
        shutil.rmtree(folder)
    for folder in sorted(fresh.iterdir()):
        folder.rename(DATA / folder.name)
    fresh.rmdir()
    record = {
        "source": str(source) if source else None,
        "partition": method,
        **({"alpha": alpha} if method == "dirichlet" else {}),
        "seed": seed,
    }
    (DATA / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    classes = np.unique(labels)
    table = Table("site", "examples", *(f"class {label}" for label in classes), "file")
    for number, rows in enumerate(parts, start=1):
        counts = [f"{int(np.sum(labels[rows] == label)):,}" for label in classes]
        file = shown(DATA / f"site-{number}" / samples.FILE_NAME)
        table.add_row(f"site-{number}", f"{len(rows):,}", *counts, file)
    Console().print(table)
