"""Privacy budgets on a network: what the sites report of theirs, and when no site may go on."""

from collections.abc import Callable
from typing import Any

from ..runs.privacy import budget_used_up
from .rounds import Round

__all__ = ["Spending"]


class Spending:
    """What the sites of a network have reported so far."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.newest: dict[str, dict[str, Any]] = {}

    def over(self, result: Round, record: dict[str, Any]) -> bool:
        """Take a round in; tell whether all who answered have used up their budgets.

        Says so, and once which sites have when others go on. record: of the run, in which it
        is kept why a session ended early.
        """
        before = {site for site, one in self.newest.items() if one["exhausted"]}
        self.newest |= result.privacy
        after = [site for site, one in self.newest.items() if one["exhausted"]]
        done = result.number - 1
        if result.used_up:
            record["ended"] = budget_used_up(len(result.privacy), done)
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
        safe = sum(
            one.get("safe_updates") is not None and one["safe_updates"] == one.get("updates")
            for one in self.newest.values()
        )
        deltas = [one["delta"] for one in self.newest.values() if one.get("delta")]
        return (
            f"privacy: {len(values)} sites sent noised updates; by their ledgers, epsilon is "
            f"{most} at the most, delta {max(deltas, default=0):g}, and {safe} sites had all "
            "their noise from OpenDP"
        )
