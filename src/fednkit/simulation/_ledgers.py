"""The privacy ledgers of simulated clients, kept in the run's lines and not in a site's ledger."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from fednsite.privacy.accounting import epsilon
from fednsite.privacy.mechanism import Terms, noised
from fednsite.privacy.noise import add_floating_point_noise

from ..runs.run import Weights

# Messages about more sites give their number instead of their names.
MAX_SITES_NAMED = 5


class Ledgers:
    """The ledgers of simulated clients.

    Args:
        terms: The privacy terms of all clients; None means no noise.
        clients: The number of clients.
        seed: The seed of the noise. It is repeatable here, because it protects no real data.
        say: Prints a line.
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
        """Return the clients whose budget is exhausted after these rounds of a run."""
        if not self.terms:
            return []
        return [c for c, sent in enumerate(self.counts(lines)) if not self.allow(sent)]

    def counts(self, lines: Iterable[Mapping[str, Any]]) -> list[int]:
        """Return the number of updates that each client has sent."""
        sent = Counter(c for line in lines for c in line.get("privacy", {}).get("charged", []))
        return [sent[client] for client in range(self.clients)]

    def all_exhausted(self, lines: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether every client's budget is exhausted."""
        return len(self.exhausted(lines)) == self.clients

    def entry(
        self, lines: Sequence[Mapping[str, Any]], chosen: Iterable[int]
    ) -> dict[str, dict[str, Any]]:
        """Return the privacy entry of a round's line, and report newly exhausted clients.

        Args:
            lines: The lines of all earlier rounds.
            chosen: The clients of the round. Each is charged, even if its update was not used.
        """
        if not self.terms:
            return {}
        before = self.exhausted(lines)
        charged = sorted(set(chosen) - set(before))
        after = [*lines, {"privacy": {"charged": charged}}]
        exhausted = self.exhausted(after)
        if new := [f"site {client + 1}" for client in exhausted if client not in before]:
            names = ", ".join(new) if len(new) <= MAX_SITES_NAMED else f"{len(new)} sites"
            if len(exhausted) < self.clients:
                self.say(f"{names}: the privacy budget is used up after round {len(lines)}")
        most = epsilon({self.terms.noise: max(self.counts(after))}, self.terms.delta)
        return {"privacy": {"epsilon": most, "charged": charged, "exhausted": exhausted}}

    def protect(self, weights: Weights, trained: Weights, number: int, client: int) -> Weights:
        """Return the update that a client sends in a round: clipped and noised if terms apply.

        Args:
            weights: The global model.
            trained: The client's trained model.
            number: The round.
            client: The client.
        """
        if not self.terms:
            return trained
        random = np.random.default_rng([self.seed, 4, number, client])
        received = [w.astype(t.dtype) for w, t in zip(weights, trained, strict=True)]
        add_noise = partial(add_floating_point_noise, draw=random.standard_normal)
        return noised(received, trained, self.terms, add_noise)
