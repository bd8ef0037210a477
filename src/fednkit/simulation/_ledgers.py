"""The privacy ledgers of simulated clients, kept in the run's own lines: no site's is touched."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from fednsite.privacy.accounting import epsilon
from fednsite.privacy.mechanism import Terms, noised
from fednsite.privacy.noise import add_floating_point_noise

from ..runs.run import Weights

# More sites than this are counted, not named.
MAX_NAMED = 5


class Ledgers:
    """The ledgers of simulated clients.

    terms: what each client sends its updates under; None: as they are. seed: of the noise, which
    repeats here, because it protects nobody.
    """

    def __init__(
        self, terms: Terms | None, clients: int, seed: int, say: Callable[[str], None]
    ) -> None:
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
        before = self.exhausted(lines)
        charged = sorted(set(chosen) - set(before))
        after = [*lines, {"privacy": {"charged": charged}}]
        exhausted = self.exhausted(after)
        if new := [f"site {client + 1}" for client in exhausted if client not in before]:
            who = ", ".join(new) if len(new) <= MAX_NAMED else f"{len(new)} sites"
            if len(exhausted) < self.clients:
                self.say(f"{who}: the privacy budget is used up after round {len(lines)}")
        most = epsilon({self.terms.noise: max(self.counts(after))}, self.terms.delta)
        return {"privacy": {"epsilon": most, "charged": charged, "exhausted": exhausted}}

    def protect(self, weights: Weights, trained: Weights, number: int, client: int) -> Weights:
        """Return what a client sends in a round, of what it was sent and what it made of that."""
        if not self.terms:
            return trained
        random = np.random.default_rng([self.seed, 4, number, client])
        received = [w.astype(t.dtype) for w, t in zip(weights, trained, strict=True)]
        add_noise = partial(add_floating_point_noise, draw=random.standard_normal)
        return noised(received, trained, self.terms, add_noise)
