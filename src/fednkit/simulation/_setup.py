"""The options of a simulation, its clients' examples, and its configuration."""

import importlib.metadata
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fednsite.data.examples import held_out
from fednsite.interfaces import Data
from fednsite.privacy.mechanism import Terms

from ..aggregation.server_functions import AggregationOptions
from ..data import sites
from ..data.kinds import kind
from ..data.partition import Method
from ..data.sites import SpreadOptions
from ..project.config import current
from ..project.console import say
from ..project.errors import ProjectError
from ..project.paths import by_number
from ..runs.summary import single_class_words
from ._attacks import AttackOptions
from ._clients import Clients


@dataclass(frozen=True, kw_only=True)
class Options(AggregationOptions, AttackOptions, SpreadOptions):
    """Options of `fednkit simulate`.

    Attributes:
        clients: Number of clients (default: 10, or all sites with --data).
        rounds: Number of rounds.
        participation: Share of the clients that take part in a round.
        data: Use data/site-* as they are, one client per site.
        seed: Random seed of the partition, sampling and dropouts.
        set: Send a setting to the clients, as NAME=VALUE; may be repeated.
        dropout: Share of updates that get lost.
        slow: Share of clients whose updates arrive too late in half of the rounds, on average.
        on_error: Stop the run when a client fails, or skip the client.
        metric: Metric that decides the best model and --patience (default: the package's first).
        patience: Stop after this many rounds without a better model.
        no_baselines: Skip the baselines: clients that train alone, and training on pooled data.
        workers: Number of processes (default: one per processor).
        name: Name of the run's folder.
        resume: Resume the run in this folder, with its options.
        mlflow: Also log to this MLflow store.

    Raises:
        ProjectError: An option is out of range, or conflicts with another one.
    """

    clients: int | None = None
    rounds: int = 20
    participation: float = 1.0
    data: bool = False
    partition: Method = "dirichlet"
    set: tuple[str, ...] = ()
    dropout: float = 0.0
    slow: float = 0.0
    on_error: Literal["stop", "skip"] = "stop"
    metric: str | None = None
    patience: int | None = None
    no_baselines: bool = False
    workers: int | None = None
    name: str = "simulation"
    resume: Path | None = None
    mlflow: str | None = None

    def __post_init__(self) -> None:
        for mixed_in in (AggregationOptions, AttackOptions, SpreadOptions):
            mixed_in.__post_init__(self)
        for name in ("clients", "rounds", "workers", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ProjectError(f"--{name}: expected 1 or more, found {value}")
        if not 0 < self.participation <= 1:
            raise ProjectError(
                f"--participation: expected above 0 to 1, found {self.participation:g}"
            )
        for name in ("dropout", "slow"):
            if not 0 <= getattr(self, name) < 1:
                raise ProjectError(
                    f"--{name}: expected 0 to below 1, found {getattr(self, name):g}"
                )


def make_clients(options: Options, data: Data, folder: Path) -> Clients:
    """Return the clients by the options, and print their class counts.

    Args:
        options: The options of the simulation.
        data: The module `model.data` of the package.
        folder: Where to write the file with all examples.
    """
    if options.data:
        found = sorted(current().data.glob("site-*"), key=lambda path: by_number(path.name))
        found = found[: options.clients]
        if not found or (options.clients or 1) > len(found):
            raise ProjectError(f"--data: expected {options.clients or 1} sites, found {len(found)}")
        clients = Clients.of_sites([(data.load("train", s), data.load("test", s)) for s in found])
    else:
        everything, parts = sites.spread(options, options.clients, default=10, classes=1)
        file = folder / kind().FILE_NAME
        kind().write(everything, np.arange(len(kind().labels(everything))), file)
        dataset = data.load("all", file)
        chosen = [held_out(dataset.labels[rows]) for rows in parts]
        clients = Clients.of_parts(dataset, parts, chosen)
    counts = clients.class_counts(data.num_classes())
    sites.show_counts(counts)
    if alone := single_class_words(counts.tolist()):
        say(alone)
    return clients


def configuration(
    options: Options,
    digest: str,
    clients: Clients,
    classes: int,
    terms: Terms | None,
) -> dict[str, Any]:
    """Return everything that is needed to understand and repeat a run."""
    requirements = (current().root / "requirements.txt").read_text("utf-8").splitlines()
    names = {line.split("==")[0] for line in requirements if "==" in line} | {"fedn"}
    versions = {"python": platform.python_version()}
    for name in sorted(names):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    plain = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(options).items()
        if name != "resume"
    }
    plain |= {"attackers": options.share, "attack_strength": options.strength}
    record = {
        "options": plain,
        "archive_sha256": digest,
        "versions": versions,
        "class_counts": clients.class_counts(classes).tolist(),
        "examples": [int(train) for train in clients.bounds[:, 1] - clients.bounds[:, 0]],
    }
    return record | ({"privacy": asdict(terms)} if terms else {})
