"""Write a defence as FEDn server functions, source code that is sent with a session.

FEDn's service for server functions runs the code (`fedn hooks start`, on Python 3.10 or newer). It
contains updates.py, robust.py and combination.py unchanged. The embedded network reads the settings
in the first line and never runs code that it receives.
"""

import json
import math
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..project.errors import ProjectError
from .robust import ROBUST, bad_clients, needed

__all__ = [
    "NO_AGGREGATOR",
    "AggregationOptions",
    "Aggregator",
    "check_updates",
    "read",
    "settings",
    "text",
]

# FEDn's own aggregators, and those of robust.py.
Aggregator = Literal["fedavg", "fedopt", "median", "trimmed-mean", "krum", "multi-krum"]
DEFAULT_TOLERATED_SHARE = 0.2
# FEDn falls back to these parameters if the server functions of a defence cannot run. Its fedopt
# reads the updates, does not know this optimiser, and the round fails. Otherwise FEDn would
# silently fall back to plain averaging. A parameter that FEDn rejects earlier would leave the
# updates to the next round, which would then wait for no client.
NO_AGGREGATOR = {"serveropt": "none, for a defence was asked for"}

MARK = "# defence: "
SOURCES = ("updates.py", "robust.py", "combination.py")
# The code that a FEDn combiner starts with. Sessions without a defence send it, because the
# combiner would otherwise keep the code of the previous session.
NO_DEFENCE = "class ServerFunctions(ServerFunctionsBase):\n    pass\n"

TEXT = """%(mark)s%(settings)s
# FEDn does not run code again that has failed, so the code differs in each session:
# %(session)s
class ServerFunctions(ServerFunctionsBase):
    SETTINGS = %(literal)r
    SOURCE = r'''%(source)s'''

    def __init__(self):
        # Functions need their own namespace: they would not find each other in FEDn's.
        self.tools = {"__name__": "defence"}
        exec(self.SOURCE, self.tools)
        self.received = None

    def client_settings(self, global_model):
        # FEDn calls this when a round starts. `previous_global` below comes later, and a client
        # with the id "global_model" overwrites it.
        self.received = global_model
        return {}

    def aggregate(self, previous_global, client_updates):
        received, self.received = self.received, None
        sent = dict(client_updates)
        # FEDn would keep the updates of a failed round for the next one.
        client_updates.clear()
        if received is None:
            raise RuntimeError("FEDn did not send the model as the round started")
        arrived = {}
        for name, update in sent.items():
            # If FEDn cannot read a model, it passes only the metadata.
            first, last = update[0], update[-1]
            weights = first if isinstance(first, list) else []
            arrived[name] = weights, last if isinstance(last, dict) else {}
        model, outcome = self.tools["combine_round"](received, arrived, self.SETTINGS, None)
        print(f"defence: {len(arrived)} updates; {outcome}")
        return received if model is None else model
"""


@dataclass(frozen=True, kw_only=True)
class AggregationOptions:
    """How the clients' updates are combined into the next global model.

    Attributes:
        aggregator: Method that combines the updates.
        norm_bound: Shorten updates that differ from the global model by more than this L2 norm.
        tolerate: Number of bad clients to tolerate, or their share if below 0.5 (default: 0.2);
            for trimmed-mean, krum and multi-krum.
        server_optimizer: Optimizer of the global model, for fedopt.
        server_learning_rate: Learning rate of the global model, for fedopt.

    Raises:
        ProjectError: An option is out of range, or conflicts with another one.
    """

    aggregator: Aggregator = "fedavg"
    norm_bound: float | None = None
    tolerate: float | None = None
    server_optimizer: Literal["adam", "yogi", "adagrad"] = "adam"
    server_learning_rate: float = 0.01

    def __post_init__(self) -> None:
        bound, tolerate = self.norm_bound, self.tolerate
        if bound is not None and not (bound > 0 and math.isfinite(bound)):
            raise ProjectError(f"--norm-bound: expected a number above 0, found {bound:g}")
        if bound is not None and self.aggregator == "fedopt":
            raise ProjectError("--norm-bound: goes with every aggregator but fedopt")
        if tolerate is not None:
            if self.aggregator not in ROBUST[1:]:
                raise ProjectError(f"--tolerate: goes with --aggregator {', '.join(ROBUST[1:])}")
            if not (0 <= tolerate < 0.5 or (tolerate >= 1 and tolerate == round(tolerate))):
                raise ProjectError(
                    "--tolerate: expected a number of clients, or a share below 0.5, found "
                    f"{tolerate:g}"
                )
        if not (self.server_learning_rate > 0 and math.isfinite(self.server_learning_rate)):
            raise ProjectError("--server-learning-rate: expected a number above 0")

    @property
    def tolerated(self) -> float:
        """The number of bad clients to tolerate, or their share if below 1."""
        return DEFAULT_TOLERATED_SHARE if self.tolerate is None else self.tolerate


def check_updates(options: AggregationOptions, updates: int) -> None:
    """Raise `ProjectError` if a round has too few updates for the aggregator."""
    bad = bad_clients(updates, options.tolerated)
    if updates < (least := needed(options.aggregator, bad)):
        raise ProjectError(
            f"--aggregator {options.aggregator}: expected {least} clients or more in a round to "
            f"tolerate {bad} bad ones, found {updates}; see --tolerate"
        )


def settings(options: AggregationOptions) -> dict[str, Any] | None:
    """Return the settings for `combination.defend`, or None if the options name no defence."""
    if options.aggregator not in ROBUST and options.norm_bound is None:
        return None
    return {
        "aggregator": options.aggregator,
        "norm_bound": options.norm_bound,
        "tolerate": options.tolerated,
    }


def text(defence: dict[str, Any] | None) -> str:
    """Return the server functions for a defence; for None, they do nothing."""
    if defence is None:
        return NO_DEFENCE
    parts = [Path(__file__).with_name(name).read_text("utf-8") for name in SOURCES]
    lines = [line for part in parts for line in part.splitlines() if not line.startswith("from .")]
    return TEXT % {
        "mark": MARK,
        "session": uuid.uuid4(),
        "settings": json.dumps(defence),
        "literal": defence,
        "source": "\n".join(lines),
    }


def read(functions: str) -> dict[str, Any] | None:
    """Return the settings in the first line of server functions, or None without a defence.

    Raises:
        ValueError: `text` did not write these server functions.
    """
    if functions == NO_DEFENCE:
        return None
    first = functions.partition("\n")[0]
    if not first.startswith(MARK):
        raise ValueError("expected those of fednkit, which alone run here, found others")
    known = json.loads(first.removeprefix(MARK))
    rule, bound, tolerate = (known.get(n) for n in ("aggregator", "norm_bound", "tolerate"))
    if rule not in ("fedavg", *ROBUST) or not isinstance(tolerate, float | int):
        raise ValueError(f"no defence: {first}")
    return {"aggregator": rule, "norm_bound": bound, "tolerate": tolerate}
