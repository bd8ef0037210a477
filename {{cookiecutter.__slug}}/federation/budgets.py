"""Privacy budgets: what the sites tell of theirs, and when nobody is left who may send an update.

On a network each site keeps a ledger and tells of it in the metadata of its updates. Here the
simulated clients' ledgers are in the run's own lines, and no site's ledger is touched.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .runs import Weights

if TYPE_CHECKING:
    # The library of the package, which only the commands that unpack it can import.
    from model.privacy import Terms

    from .rounds import Round

Told = dict[str, Any]
Say = Callable[[str], None]
NUMBERS = ("noise", "clip", "budget", "delta", "epsilon", "updates")
# More sites than this are counted, not named.
NAMED = 5


def told(status: Mapping[str, Any]) -> Told:
    """Return what the metadata of an update say of its privacy; nothing where they do not.

    status: FEDn's, of an update that has come, as its API gives it: all of the update's message
    but the weights. A site writes it, so only what is known is taken.
    """
    try:
        found = json.loads(json.loads(status["data"])["meta"])["training_metadata"]["privacy"]
        known: Told = {name: found[name] for name in NUMBERS if _is_number(found[name])}
        return {**known, "exhausted": found["exhausted"] is True}
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return False
    # Not NaN, nor a whole number that no float can be.
    return value is None or abs(value) <= sys.float_info.max


def ended(sites: int, rounds: int) -> str:
    """Say why a session is over before its last round."""
    when = f"is used up after round {rounds}" if rounds else "leaves no room for an update"
    return f"the privacy budget of all {sites} sites {when}"


class Spent:
    """What the sites of a network have told so far."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.newest: dict[str, Told] = {}

    def over(self, result: "Round", record: dict[str, Any]) -> bool:
        """Take a round in; tell whether all who answered have used up their budgets.

        Says so, and once which sites have when others go on. record: of the run, in which it
        is kept why a session ended early.
        """
        before = {site for site, one in self.newest.items() if one["exhausted"]}
        self.newest |= result.privacy
        after = [site for site, one in self.newest.items() if one["exhausted"]]
        done = result.number - 1
        if result.used_up:
            record["ended"] = ended(len(result.privacy), done)
            self.say(record["ended"])
            return True
        for site in after:
            if site not in before:
                self.say(f"{site}: its privacy budget is used up after round {done}")
        return False

    def summary(self) -> str:
        """Say what the sites have spent; empty where none has noise."""
        values = [one.get("epsilon") for one in self.newest.values()]
        if not values:
            return ""
        known = [value for value in values if value is not None]
        most = f"{max(known):.3g}" if len(known) == len(values) else "beyond all bounds"
        deltas = [one["delta"] for one in self.newest.values() if one.get("delta")]
        return (
            f"privacy: {len(values)} sites sent noised updates; by their ledgers, epsilon is "
            f"{most} at the most, delta {max(deltas, default=0):g}"
        )


class Ledgers:
    """The ledgers of simulated clients.

    terms: what each client sends its updates under; None: as they are. seed: of the noise, which
    repeats here, because it protects nobody.
    """

    def __init__(self, terms: "Terms | None", clients: int, seed: int, say: Say) -> None:
        self.terms = terms
        self.clients = clients
        self.seed = seed
        self.say = say
        self.allow = lru_cache(None)(lambda sent: not terms or terms.allow({terms.noise: sent}))

    def exhausted(self, lines: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the clients that may send no more after these rounds of a run."""
        if not self.terms:
            return []
        return [c for c, sent in enumerate(self.counts(lines)) if not self.allow(sent)]

    def counts(self, lines: Iterable[Mapping[str, Any]]) -> list[int]:
        """Return how many updates each client has sent."""
        sent = Counter(c for line in lines for c in line.get("privacy", {}).get("charged", []))
        return [sent[client] for client in range(self.clients)]

    def used_up(self, lines: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether no client may go on."""
        return len(self.exhausted(lines)) == self.clients

    def entry(
        self, lines: Sequence[Mapping[str, Any]], chosen: Iterable[int]
    ) -> dict[str, dict[str, Any]]:
        """Return what a round's line says of privacy, and say who may send no more after it.

        chosen: the clients that were asked. Whatever became of an update, it was sent.
        """
        if not self.terms:
            return {}
        from model.privacy import epsilon

        before = self.exhausted(lines)
        charged = sorted(set(chosen) - set(before))
        after = [*lines, {"privacy": {"charged": charged}}]
        exhausted = self.exhausted(after)
        if new := [f"site {client + 1}" for client in exhausted if client not in before]:
            who = ", ".join(new) if len(new) <= NAMED else f"{len(new)} sites"
            if len(exhausted) < self.clients:
                self.say(f"{who}: the privacy budget is used up after round {len(lines)}")
        most = epsilon({self.terms.noise: max(self.counts(after))}, self.terms.delta)
        return {"privacy": {"epsilon": most, "charged": charged, "exhausted": exhausted}}

    def protect(self, weights: Weights, trained: Weights, number: int, client: int) -> Weights:
        """Return what a client sends in a round, of what it was sent and what it made of that."""
        if not self.terms:
            return trained
        from model.privacy import noised

        random = np.random.default_rng([self.seed, 4, number, client])
        received = [w.astype(t.dtype) for w, t in zip(weights, trained, strict=True)]
        return noised(received, trained, self.terms, random.standard_normal)
