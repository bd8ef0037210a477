"""Simulate many clients and rounds on this machine with the package that ships."""

import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fednsite.privacy.mechanism import Terms

from ..aggregation.server_functions import check_updates
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
from ._setup import Options, configuration, make_clients
from ._tracking import log_to_mlflow

__all__ = ["Options", "recorded", "run"]


def run(options: Options) -> None:
    """Run the rounds and the baselines; write metrics, models and a report to the run's folder."""
    before = Run.read(options.resume) if options.resume else None
    options = recorded(before, options) if before else choose_data(options)
    if options.mlflow and not importlib.util.find_spec("mlflow"):
        raise ProjectError("--mlflow: not installed here; try: pip install mlflow-skinny==3.17.2")
    if not current().seed.exists():
        seed.make(options.seed)
    digest = archive.build(current().archive)
    if before and before.config["archive_sha256"] != digest:
        raise ProjectError(
            f"{shown(before.folder)}: the package has changed since this run; start a new run"
        )
    with model_library() as library, tempfile.TemporaryDirectory() as store:
        sent = parse_settings(options.set)
        # No site's own terms apply: this environment is not a site's.
        terms = Terms.agreed(library.settings.override(sent), {})
        clients = make_clients(options, library.data, Path(store))
        check_updates(options, max(1, round(options.participation * len(clients))))
        if options.attack == "label-flip":
            bad = _attacks.attackers(options, len(clients), options.seed)
            _attacks.flip_labels(clients, bad, library.data.num_classes())
        clients.save(Path(store))
        done = before or Run.create(
            options.name,
            configuration(options, digest, clients, library.data.num_classes(), terms),
            current().seed.read_bytes(),
        )
        workers = min(options.workers or os.cpu_count() or 1, len(clients))
        with Pool(workers, library.folder, Path(store)) as pool, explain_interruption(done):
            # Importing FEDn takes a while; the workers start meanwhile.
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
def explain_interruption(run: Run) -> Iterator[None]:
    """Print how to resume if the block is interrupted; remove the folder of an empty run."""
    try:
        yield
    except ProjectError:
        if not run.lines:
            shutil.rmtree(run.folder)
        raise
    except BrokenProcessPool:
        raise ProjectError(
            "a worker process died, possibly out of memory; resume with fewer workers: "
            f"--resume {shown(run.folder)} --workers 1"
        ) from None
    except KeyboardInterrupt:
        say(f"stopped; go on with: fednkit simulate --resume {shown(run.folder)}")
        raise


def recorded(before: Run, options: Options) -> Options:
    """Return the recorded options of a run to resume, with the new number of workers."""
    try:
        kept = records.options(before.config["options"], Options)
    except (ProjectError, records.RecordError) as error:
        raise ProjectError(f"{shown(before.folder)}: config.json: {error}") from None
    return replace(kept, resume=options.resume, workers=options.workers)


def choose_data(options: Options) -> Options:
    """Return the options with the user's own data, unless they choose the data themselves."""
    if options.data or options.source or options.examples:
        return options
    record = current().data / sites.RECORD_NAME
    if record.exists():
        source = json.loads(record.read_text("utf-8"))["source"]
        chosen = replace(options, source=Path(source) if source else None)
    else:
        chosen = replace(options, data=any(current().data.glob("site-*")))
    if chosen.source or chosen.data:
        say(f"data: {shown(chosen.source or current().data)}")
    return chosen


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse NAME=VALUE pairs with JSON values."""
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
