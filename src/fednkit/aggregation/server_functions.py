"""How a defence runs on FEDn: as server functions, a text that a session carries with it.

FEDn's combiner has its service for server functions run the text (`fedn hooks start`, on Python
3.10 or newer). The text holds updates.py, robust.py and combination.py as they are here, so that
there is one place for them. The embedded network reads the settings in its first line and runs no
code that it was sent.
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

# FEDn's own, which run as its plug-ins, and those of robust.py.
Aggregator = Literal["fedavg", "fedopt", "median", "trimmed-mean", "krum", "multi-krum"]
DEFAULT_TOLERATED_SHARE = 0.2
# In a session with a defence, what FEDn falls back to when the text cannot run: its fedopt takes
# the updates, knows no such optimiser, and the round fails. Else it would go on with a plain
# average, and say nothing. A parameter that it refuses at once would leave the updates to the next
# round, which would wait for nobody.
NO_AGGREGATOR = {"serveropt": "none, for a defence was asked for"}

MARK = "# defence: "
SOURCES = ("updates.py", "robust.py", "combination.py")
# What a combiner of FEDn starts with. Sent when no defence is asked for, because it would keep
# that of the session before.
NOTHING = "class ServerFunctions(ServerFunctionsBase):\n    pass\n"

TEXT = """%(mark)s%(settings)s
# FEDn keeps a text that has failed from running again, so it is another one in each session:
# %(session)s
class ServerFunctions(ServerFunctionsBase):
    SETTINGS = %(literal)r
    SOURCE = r'''%(source)s'''

    def __init__(self):
        # A namespace of its own: functions of this text would not find each other in FEDn's.
        self.tools = {"__name__": "defence"}
        exec(self.SOURCE, self.tools)
        self.received = None

    def client_settings(self, global_model):
        # Called as a round starts. FEDn's `previous_global` comes later, and a client that takes
        # "global_model" for its id overwrites it.
        self.received = global_model
        return {}

    def aggregate(self, previous_global, client_updates):
        received, self.received = self.received, None
        sent = dict(client_updates)
        # FEDn would keep those of a round that fails for the next one.
        client_updates.clear()
        if received is None:
            raise RuntimeError("FEDn did not send the model as the round started")
        arrived = {}
        for name, update in sent.items():
            # Of bytes that are no model FEDn keeps what came with them, alone.
            first, last = update[0], update[-1]
            weights = first if isinstance(first, list) else []
            arrived[name] = weights, last if isinstance(last, dict) else {}
        model, outcome = self.tools["combine_round"](received, arrived, self.SETTINGS, None)
        print(f"defence: {len(arrived)} updates; {outcome}")
        return received if model is None else model
"""


@dataclass(frozen=True, kw_only=True)
class AggregationOptions:
    """How the clients' updates become the next global model.

    Attributes:
        aggregator: How the updates are combined.
        norm_bound: Shorten updates that differ from the model by more than this norm.
        tolerate: Number of bad clients to tolerate, or their share below 0.5 (default 0.2); for
            trimmed-mean, krum and multi-krum.
        server_optimizer: For fedopt: the optimizer of the global model.
        server_learning_rate: For fedopt: its learning rate.

    Raises:
        ProjectError: An option is out of its range, or does not go with another one.
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
        """How many bad clients are tolerated, or which share of them."""
        return DEFAULT_TOLERATED_SHARE if self.tolerate is None else self.tolerate


def check_updates(options: AggregationOptions, updates: int) -> None:
    """Raise `ProjectError` unless a round of so many updates is enough for the aggregator."""
    bad = bad_clients(updates, options.tolerated)
    if updates < (least := needed(options.aggregator, bad)):
        raise ProjectError(
            f"--aggregator {options.aggregator}: expected {least} clients or more in a round to "
            f"tolerate {bad} bad ones, found {updates}; see --tolerate"
        )


def settings(options: AggregationOptions) -> dict[str, Any] | None:
    """Return what `combination.defend` goes by; None when nothing is to be defended."""
    if options.aggregator not in ROBUST and options.norm_bound is None:
        return None
    return {
        "aggregator": options.aggregator,
        "norm_bound": options.norm_bound,
        "tolerate": options.tolerated,
    }


def text(defence: dict[str, Any] | None) -> str:
    """Return the server functions that carry out a defence, or that do nothing for None."""
    if defence is None:
        return NOTHING
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
    """Return the settings in the first line of `text`; None where no defence is asked for.

    Raises:
        ValueError: These are other server functions.
    """
    if functions == NOTHING:
        return None
    first = functions.partition("\n")[0]
    if not first.startswith(MARK):
        raise ValueError("expected those of fednkit, which alone run here, found others")
    known = json.loads(first.removeprefix(MARK))
    rule, bound, tolerate = (known.get(n) for n in ("aggregator", "norm_bound", "tolerate"))
    if rule not in ("fedavg", *ROBUST) or not isinstance(tolerate, float | int):
        raise ValueError(f"no defence: {first}")
    return {"aggregator": rule, "norm_bound": bound, "tolerate": tolerate}
