"""Simulate many clients and rounds in this machine's processes, from the archive that ships."""

import argparse
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fednsite.privacy.mechanism import Terms

from ..aggregation import server_functions
from ..data import seed, sites
from ..package import archive
from ..package.library import model_library
from ..project.config import current
from ..project.console import say
from ..project.errors import ProjectError
from ..project.paths import shown
from ..runs import records
from ..runs.privacy import has_privacy, words
from ..runs.report import write_report
from ..runs.run import Run
from ..runs.summary import show_summary
from . import _attacks
from ._baselines import measure_baselines
from ._pool import Pool
from ._setup import configuration, make_clients
from ._tracking import log_to_mlflow

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `fednkit simulate`."""
    add = parser.add_argument
    add("--clients", type=int, metavar="N", help="how many (default 10)")
    add("--rounds", type=int, default=20, metavar="N", help="how many (default 20)")
    add("--participation", type=float, default=1.0, help="share of clients a round (default 1)")
    add("--data", action="store_true", help="take data/site-* as they are, a client each")
    sites.add_data_options(parser, method="dirichlet")
    add(
        "--aggregator",
        choices=server_functions.AGGREGATORS,
        default="fedavg",
        help="(default fedavg)",
    )
    server_functions.add_options(parser)
    _attacks.add_options(parser)
    add("--server-optimizer", choices=("adam", "yogi", "adagrad"), default="adam", help="of fedopt")
    add("--server-learning-rate", type=float, default=0.01, help="of fedopt (default 0.01)")
    add(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="send a setting to clients"
    )
    add("--dropout", type=float, default=0.0, help="share of updates that get lost (default 0)")
    add("--slow", type=float, default=0.0, help="share of clients too late every other round")
    add("--on-error", choices=("stop", "skip"), default="stop", help="of a client (default stop)")
    add("--metric", help="what best model and patience go by (default: the package's first)")
    add("--patience", type=int, metavar="N", help="stop after N rounds without a better model")
    add("--no-baselines", action="store_true", help="do not train alone and on pooled data")
    add("--workers", type=int, metavar="N", help="processes (default: one a processor)")
    add("--seed", type=int, default=0, help="of partition, sampling, dropouts (default 0)")
    add("--name", default="simulation", help="of the run's folder")
    add("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped")
    add("--mlflow", metavar="URI", help="log to this MLflow store too")


def run(options: argparse.Namespace) -> None:
    """Run the rounds and the baselines; leave a folder with metrics, models and a page."""
    before = Run.read(options.resume) if options.resume else None
    if before:
        options = recorded(before, options)
    else:
        choose_data(options)
    check(options)
    if not current().seed.exists():
        seed.make(options.seed)
    digest = archive.build(current().archive)
    if before and before.config["archive_sha256"] != digest:
        raise ProjectError(f"{shown(before.folder)}: the package has changed since; start anew")
    with model_library() as library, tempfile.TemporaryDirectory() as store:
        sent = parse_settings(options.set)
        # No site's own terms: the environment here is not theirs.
        terms = Terms.agreed(library.settings.override(sent), {})
        clients = make_clients(options, library.data, Path(store))
        server_functions.check(options, max(1, round(options.participation * len(clients))))
        if options.attack == "label-flip":
            bad = _attacks.attackers(options, len(clients))
            _attacks.flip_labels(clients, bad, library.data.num_classes())
        clients.save(Path(store))
        done = before or Run.create(
            options.name,
            configuration(options, digest, clients, library.data.num_classes(), terms),
            current().seed.read_bytes(),
        )
        workers = min(options.workers or os.cpu_count() or 1, len(clients))
        with Pool(workers, library.folder, Path(store)) as pool, explained(done):
            # Imported while the workers start, because it imports FEDn.
            from ._rounds import Simulation

            Simulation(done, options, sent, len(clients), pool, terms).rounds()
            if not options.no_baselines and not done.baselines:
                done.add_baselines(measure_baselines(done, sent, len(clients), pool))
    show_summary(done)
    if has_privacy(done):
        say(words(done))
    page = write_report([done], done.folder / "report.html")
    say(f"run: {shown(done.folder)}\nreport: {shown(page)}")
    if options.mlflow:
        log_to_mlflow(done, options.mlflow)


@contextmanager
def explained(run: Run) -> Iterator[None]:
    """Explain how to go on when the block is broken off; leave no folder of an empty run."""
    try:
        yield
    except ProjectError:
        if not run.lines:
            # Nothing came of it, not even a measure of the seed model.
            shutil.rmtree(run.folder)
        raise
    except BrokenProcessPool:
        raise ProjectError(
            "a worker process died, perhaps for want of memory; go on with fewer: "
            f"--resume {shown(run.folder)} --workers 1"
        ) from None
    except KeyboardInterrupt:
        say(f"stopped; go on with: fednkit simulate --resume {shown(run.folder)}")
        raise


def recorded(before: Run, options: argparse.Namespace) -> argparse.Namespace:
    """Return the options that a run to go on with was started with."""
    try:
        kept = records.options(before.config, add_options)
    except records.RecordError as error:
        raise ProjectError(f"{shown(before.folder)}: config.json: {error}") from None
    kept.resume, kept.workers = options.resume, options.workers
    return kept


def choose_data(options: argparse.Namespace) -> None:
    """Take the user's own data, where there is some and nothing else is asked for."""
    if options.data or options.source or options.examples:
        return
    record = current().data / sites.RECORD_NAME
    if record.exists():
        source = json.loads(record.read_text("utf-8"))["source"]
        options.source = Path(source) if source else None
    else:
        options.data = any(current().data.glob("site-*"))
    if options.source or options.data:
        say(f"data: {shown(options.source or current().data)}")


def check(options: argparse.Namespace) -> None:
    """Raise `ProjectError` for the first option that makes no sense."""
    for name in ("clients", "rounds", "workers", "patience"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ProjectError(f"--{name}: expected 1 or more, found {value}")
    for name, lowest in (("participation", "above 0"), ("dropout", "0"), ("slow", "0")):
        value = getattr(options, name)
        if not (0 < value <= 1 if lowest == "above 0" else 0 <= value < 1):
            upper = "1" if lowest == "above 0" else "below 1"
            raise ProjectError(f"--{name}: expected {lowest} to {upper}, found {value:g}")
    if options.mlflow and not importlib.util.find_spec("mlflow"):
        raise ProjectError("--mlflow: not installed here; try: pip install mlflow-skinny==3.17.2")
    if not options.server_learning_rate > 0:
        raise ProjectError("--server-learning-rate: expected a number above 0")
    server_functions.check(options)
    _attacks.check(options)


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs, the values as JSON."""
    settings = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            raise ProjectError(
                f"--set: expected NAME=VALUE with a JSON value, found '{pair}'"
            ) from None
    return settings
