"""The rounds of a simulation: choose clients, train, combine, measure and save."""

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fednsite.files import write_atomically
from fednsite.privacy.mechanism import Terms

from ..aggregation import server_functions
from ..aggregation.combination import Arrived, combine_round
from ..aggregation.fedn_aggregators import Aggregation
from ..project.console import console, say
from ..project.errors import ProjectError
from ..runs import outcomes
from ..runs.privacy import budget_used_up
from ..runs.run import Run, Weights
from ._attacks import attackers, forge
from ._ledgers import Ledgers
from ._pool import Failure, Pool
from ._setup import Options
from ._workers import Worker


class Simulation:
    """The rounds of one run."""

    def __init__(
        self,
        run: Run,
        options: Options,
        sent: dict[str, Any],
        clients: int,
        pool: Pool,
        terms: Terms | None = None,
    ) -> None:
        self.run = run
        self.options = options
        self.sent = sent
        self.clients = clients
        self.pool = pool
        self.defence = server_functions.settings(options)
        self.aggregation = Aggregation(
            "fedavg" if self.defence else options.aggregator,
            options.server_optimizer,
            options.server_learning_rate,
        )
        self.ledgers = Ledgers(terms, clients, options.seed, say)
        self.attackers = attackers(options, clients, options.seed)
        # The slow clients are the same in all rounds.
        random = np.random.default_rng([options.seed, 1])
        self.slow = set(random.permutation(clients)[: round(options.slow * clients)].tolist())

    def rounds(self) -> None:
        """Run the remaining rounds; each writes its line, its models and a checkpoint."""
        weights = self.start()
        total = self.options.rounds
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(
            *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
        ) as progress:
            task = progress.add_task("rounds", total=total, completed=len(self.run.lines) - 1)
            while (
                len(self.run.lines) <= total
                and not self.out_of_patience()
                and not self.ledgers.all_exhausted(self.run.lines)
            ):
                weights = self.round(len(self.run.lines), weights)
                value = self.run.series(self.run.metric)[-1]
                words = f"{self.run.metric} {'-' if value is None else f'{value:.4f}'}"
                progress.update(task, advance=1, description=words)
                if not console.is_terminal:
                    say(f"round {len(self.run.lines) - 1} of {total}: {words}")
        if self.ledgers.all_exhausted(self.run.lines):
            say(budget_used_up(self.clients, len(self.run.lines) - 1))

    def start(self) -> Weights:
        """Return the weights of the seed model, or of the checkpoint when a run is resumed."""
        loaded = self.pool.call(Worker.ready)
        if isinstance(loaded, Failure):
            raise ProjectError(f"the model library does not load: {loaded.cause}")
        if self.run.lines:
            weights, state = self.run.restore()
            self.aggregation.restore(state)
            return weights
        weights = self.run.seed()
        self.save(0, weights, {"clients": [], "dropped": [], "late": [], "failed": {}})
        return weights

    def round(self, number: int, weights: Weights) -> Weights:
        """Run one round and return the new global model."""
        started = time.perf_counter()
        # Each round has its own generator, so that a resumed run draws the same numbers.
        random = np.random.default_rng([self.options.seed, 2, number])
        count = max(1, round(self.options.participation * self.clients))
        chosen = sorted(random.permutation(self.clients)[:count].tolist())
        draws = random.random((self.clients, 2))
        dropped = [c for c in chosen if draws[c, 0] < self.options.dropout]
        late = [c for c in chosen if c in self.slow and draws[c, 1] < 0.5 and c not in dropped]
        absent = {*dropped, *late, *self.ledgers.exhausted(self.run.lines)}
        training = [c for c in chosen if c not in absent]

        calls = [(client, weights, self.sent) for client in training]
        together = max(1, len(calls) // (2 * self.pool.workers))
        arrived: Arrived = {}
        failed = {}
        results = self.pool.each(Worker.train, calls, together)
        for client, result in zip(training, results, strict=True):
            if isinstance(result, Failure):
                failed[client] = result.cause
                say(f"round {number}: client {client + 1} failed: {result.cause}")
            else:
                sent, examples = result
                update = self.ledgers.protect(weights, sent, number, client)
                if client in self.attackers:
                    update = self.forge(number, client, weights, update)
                arrived[client] = update, {"num_examples": examples}
        if failed and self.options.on_error == "stop":
            raise ProjectError(
                f"{len(failed)} of {len(training)} clients failed; add --on-error skip to continue "
                "without them"
            )
        # As in FEDn, a round without updates keeps the model.
        combined, outcome = combine_round(weights, arrived, self.defence, self.average(weights))
        new = weights if combined is None else combined
        if self.attackers:
            outcome["attackers"] = [client for client in training if client in self.attackers]
        for warning in outcomes.warnings(outcome, "client {}".format, offset=1):
            say(f"round {number}: {warning}")
        size = sum(array.nbytes for array in weights)
        line = {"clients": chosen, "dropped": dropped, "late": late, "failed": failed} | outcome
        line |= self.ledgers.entry(self.run.lines, chosen)
        self.save(number, new, line | {"bytes": size * (len(chosen) + len(arrived))}, started)
        return new

    def forge(self, number: int, client: int, weights: Weights, update: Weights) -> Weights:
        """Return the update that a hostile client sends in a round."""
        seed = [self.options.seed, 5, number, client]
        return forge(self.options.attack, self.options.strength, weights, update, seed)

    def average(self, weights: Weights) -> Callable[[Arrived], Weights]:
        """Return the function that combines updates without a defence: FEDn's aggregator."""
        return lambda admitted: self.aggregation.combine(
            weights, [(update, data["num_examples"]) for update, data in admitted.values()]
        )

    def save(
        self, number: int, weights: Weights, line: dict[str, Any], started: float | None = None
    ) -> None:
        """Measure a global model; write its line, the models and the checkpoint."""
        result = self.pool.call(Worker.measure, weights)
        if isinstance(result, Failure):
            what = "the seed model does not fit; make a new one with 'fednkit seed'"
            raise ProjectError(f"{what if number == 0 else 'no measure'}: {result.cause}")
        together, each = result
        metric = self.options.metric
        if metric and metric not in together:
            raise ProjectError(f"--metric: expected one of {', '.join(together)}, found '{metric}'")
        seconds = 0.0 if started is None else time.perf_counter() - started
        head = {"round": number, "seconds": round(seconds, 4), **line}
        self.run.add(head | {"global": together, "each": each})
        content = model_file(weights)
        write_atomically(self.run.folder / "model.npz", content)
        if self.run.best()["round"] == number:
            write_atomically(self.run.folder / "best.npz", content)
        self.run.checkpoint(weights, self.aggregation.state())

    def out_of_patience(self) -> bool:
        """Return whether the best model is `--patience` rounds old."""
        last, best = self.run.lines[-1]["round"], self.run.best()["round"]
        return self.options.patience is not None and last - best >= self.options.patience


def model_file(weights: Weights) -> bytes:
    """Return a model file in FEDn's layout."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {str(index): array for index, array in enumerate(weights)}
    np.savez(buffer, **arrays)
    return buffer.getvalue()
