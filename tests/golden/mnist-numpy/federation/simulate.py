"""Simulate many clients and rounds in this machine's processes, from the archive that ships."""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import tempfile
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import attacks, functions, package, records, samples, seed, sites
from .baselines import measure_baselines
from .clients import Clients
from .privacy_report import has_privacy, words
from .project import DATA, ROOT, SEED, ProjectError, by_number, shown
from .report import write_report
from .runs import Run
from .show import say
from .summary import show_summary, single_class_words
from .tracking import log_to_mlflow
from .workers import Pool

if TYPE_CHECKING:
    from model.privacy import Terms


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m federation simulate`."""
    add = parser.add_argument
    add("--clients", type=int, metavar="N", help="how many (default 10)")
    add("--rounds", type=int, default=20, metavar="N", help="how many (default 20)")
    add("--participation", type=float, default=1.0, help="share of clients a round (default 1)")
    add("--data", action="store_true", help="take data/site-* as they are, a client each")
    sites.add_data_options(parser, method="dirichlet")
    add("--aggregator", choices=functions.AGGREGATORS, default="fedavg", help="(default fedavg)")
    functions.add_options(parser)
    attacks.add_options(parser)
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
    if not SEED.exists():
        seed.make(options.seed)
    digest = package.build()
    with package.imported_package() as unpacked, tempfile.TemporaryDirectory() as store:
        from model import data
        from model.privacy import Terms
        from model.settings import Settings

        sent = parse_settings(options.set)
        # No site's own terms: the environment here is not theirs.
        terms = Terms.agreed(Settings.override(sent), {})
        clients = make_clients(options, Path(store))
        functions.check(options, max(1, round(options.participation * len(clients))))
        if options.attack == "label-flip":
            bad = attacks.attackers(options, len(clients))
            attacks.flip_labels(clients, bad, data.num_classes())
        clients.save(Path(store))
        if before and before.config["archive_sha256"] != digest:
            raise ProjectError(f"{shown(before.folder)}: the package has changed since; start anew")
        run_ = before or Run.create(
            options.name, configuration(options, digest, clients, terms), SEED.read_bytes()
        )
        workers = min(options.workers or os.cpu_count() or 1, len(clients))
        shape = data.input_shape(), data.num_classes()
        with Pool(workers, unpacked, Path(store), *shape) as pool:
            # Imported while the workers start, because it imports FEDn.
            from .simulation import Simulation

            try:
                Simulation(run_, options, sent, len(clients), pool, terms).rounds()
                if not options.no_baselines and not run_.baselines:
                    run_.add_baselines(measure_baselines(run_, sent, len(clients), pool))
            except ProjectError:
                if not run_.lines:
                    # Nothing came of it, not even a measure of the seed model.
                    shutil.rmtree(run_.folder)
                raise
            except BrokenProcessPool:
                raise ProjectError(
                    f"a worker process died, perhaps for want of memory; go on with fewer: "
                    f"--resume {shown(run_.folder)} --workers 1"
                ) from None
            except KeyboardInterrupt:
                say(
                    f"stopped; go on with: python -m federation simulate --resume "
                    f"{shown(run_.folder)}"
                )
                raise
    show_summary(run_)
    if has_privacy(run_):
        say(words(run_))
    page = write_report([run_], run_.folder / "report.html")
    say(f"run: {shown(run_.folder)}\nreport: {shown(page)}")
    if options.mlflow:
        log_to_mlflow(run_, options.mlflow)


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
    record = DATA / sites.RECORD
    if record.exists():
        source = json.loads(record.read_text("utf-8"))["source"]
        options.source = Path(source) if source else None
    else:
        options.data = any(DATA.glob("site-*"))
    if options.source or options.data:
        say(f"data: {shown(options.source or DATA)}")


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
    functions.check(options)
    attacks.check(options)


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


def make_clients(options: argparse.Namespace, folder: Path) -> Clients:
    """Return the clients that the options ask for, and show what each of them has."""
    from model import data
    from model.dataset import held_out

    if options.data:
        found = sorted(DATA.glob("site-*"), key=lambda path: by_number(path.name))
        found = found[: options.clients]
        if not found or (options.clients or 1) > len(found):
            raise ProjectError(f"--data: expected {options.clients or 1} sites, found {len(found)}")
        clients = Clients.of_sites([(data.load("train", s), data.load("test", s)) for s in found])
    else:
        everything, parts = sites.spread(options, options.clients, default=10, classes=1)
        file = folder / samples.FILE_NAME
        samples.write(everything, np.arange(len(samples.labels(everything))), file)
        dataset = data.load("all", file)
        chosen = [held_out(dataset.labels[rows]) for rows in parts]
        clients = Clients.of_parts(dataset, parts, chosen)
    counts = clients.class_counts(data.num_classes())
    sites.show_counts(counts)
    if alone := single_class_words(counts.tolist()):
        say(alone)
    return clients


def configuration(
    options: argparse.Namespace, digest: str, clients: Clients, terms: "Terms | None"
) -> dict[str, Any]:
    """Return all that is needed to understand and to repeat a run."""
    from model import data

    requirements = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
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
        "class_counts": clients.class_counts(data.num_classes()).tolist(),
        "examples": [int(train) for train in clients.bounds[:, 1] - clients.bounds[:, 0]],
    }
    return record | ({"privacy": asdict(terms)} if terms else {})
