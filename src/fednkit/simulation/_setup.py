"""What a simulation starts from: its clients' examples, and the record of what was asked."""

import argparse
import importlib.metadata
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fednsite.data.examples import held_out
from fednsite.interfaces import Data
from fednsite.privacy.mechanism import Terms

from ..data import sites
from ..data.kinds import kind
from ..project.config import current
from ..project.console import say
from ..project.errors import ProjectError
from ..project.paths import by_number
from ..runs.summary import single_class_words
from ._clients import Clients


def make_clients(options: argparse.Namespace, data: Data, folder: Path) -> Clients:
    """Return the clients that the options ask for, and show what each of them has."""
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
    options: argparse.Namespace,
    digest: str,
    clients: Clients,
    classes: int,
    terms: Terms | None,
) -> dict[str, Any]:
    """Return all that is needed to understand and to repeat a run."""
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
        for name, value in vars(options).items()
        if name not in ("command", "resume")
    }
    record = {
        "options": plain,
        "archive_sha256": digest,
        "versions": versions,
        "class_counts": clients.class_counts(classes).tolist(),
        "examples": [int(train) for train in clients.bounds[:, 1] - clients.bounds[:, 0]],
    }
    return record | ({"privacy": asdict(terms)} if terms else {})
