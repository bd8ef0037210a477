"""What federation is measured against: training alone, and training on pooled data."""

from typing import Any

import numpy as np
from rich.progress import track

from ..project.console import console
from ..project.errors import ProjectError
from ..runs.run import Run
from ._pool import Failure, Pool
from ._workers import Worker

# So many clients train alone at the most; of more, as many are drawn.
ALONE_AT_MOST = 50


def measure_baselines(run: Run, sent: dict[str, Any], clients: int, pool: Pool) -> dict[str, Any]:
    """Train without a federation, from the same seed model, for as many epochs.

    Returns `central`: the metrics after each round's worth of epochs on the pooled data; and
    `alone`: for each client that was tried its metrics on all held-out examples together
    (`everywhere`) and on its own (`own`).
    """
    rounds = run.lines[-1]["round"]
    weights = run.seed()
    random = np.random.default_rng([run.config["options"]["seed"], 3])
    tried = sorted(random.permutation(clients)[:ALONE_AT_MOST].tolist())
    # The longest first: the pooled data keeps one worker busy while the others take the rest.
    pooled = pool.each(Worker.central, [(weights, sent, rounds)])
    single = pool.each(Worker.alone, [(client, weights, sent, rounds) for client in tried])
    shown = track(
        single,
        "baselines",
        total=len(tried),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    alone = list(shown)
    central = next(pooled)
    for result in (central, *alone):
        if isinstance(result, Failure):
            raise ProjectError(f"a baseline failed: {result.cause}")
    pairs = zip(tried, alone, strict=True)
    named = [{"client": c, "everywhere": every, "own": own} for c, (every, own) in pairs]
    return {"central": central, "alone": named}
