"""Baselines of a simulation: clients that train alone, and training on pooled data."""

from typing import Any

import numpy as np
from rich.progress import track

from ..project.console import console
from ..project.errors import ProjectError
from ..runs.run import Run
from ._pool import Failure, Pool
from ._workers import Worker

# In larger simulations, a random sample of this size trains alone.
MAX_CLIENTS_ALONE = 50


def measure_baselines(run: Run, sent: dict[str, Any], clients: int, pool: Pool) -> dict[str, Any]:
    """Train without a federation, from the same seed model and for as many epochs.

    Returns:
        `central`: the metrics on pooled data after each round's number of epochs. `alone`: for
        each client that trained alone, the metrics on all held-out examples (`everywhere`) and on
        its own (`own`).
    """
    rounds = run.lines[-1]["round"]
    weights = run.seed()
    random = np.random.default_rng([run.config["options"]["seed"], 3])
    sample = sorted(random.permutation(clients)[:MAX_CLIENTS_ALONE].tolist())
    # Longest task first: pooled data keeps one worker busy while the others train the clients.
    pooled = pool.each(Worker.central, [(weights, sent, rounds)])
    single = pool.each(Worker.alone, [(client, weights, sent, rounds) for client in sample])
    tracked = track(
        single,
        "baselines",
        total=len(sample),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    alone = list(tracked)
    central = next(pooled)
    for result in (central, *alone):
        if isinstance(result, Failure):
            raise ProjectError(f"a baseline failed: {result.cause}")
    pairs = zip(sample, alone, strict=True)
    named = [{"client": c, "everywhere": every, "own": own} for c, (every, own) in pairs]
    return {"central": central, "alone": named}
