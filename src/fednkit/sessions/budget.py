"""Track the privacy budgets that sites report, and end a session when all are used up."""

from collections.abc import Callable
from typing import Any

from ..runs.privacy import budget_used_up
from .rounds import Round

__all__ = ["Spending"]


class Spending:
    """The privacy budgets that the sites of a network have reported so far."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.newest: dict[str, dict[str, Any]] = {}

    def over(self, result: Round, record: dict[str, Any]) -> bool:
        """Add a round; return whether all sites that responded have used up their budgets.

        Reports that, or once for each site whose budget is used up while others continue.

        Args:
            result: The round.
            record: The run's record, which gets the reason why the session ends early.
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
        """Return the privacy loss of the sites in one line; "" if no site adds noise."""
        values = [one.get("epsilon") for one in self.newest.values()]
        if not values:
            return ""
        known = [value for value in values if value is not None]
        most = f"{max(known):.3g}" if len(known) == len(values) else "unbounded"
        safe = sum(
            one.get("safe_updates") is not None and one["safe_updates"] == one.get("updates")
            for one in self.newest.values()
        )
        deltas = [one["delta"] for one in self.newest.values() if one.get("delta")]
        return (
            f"privacy: {len(values)} sites sent noised updates; by their ledgers, the highest "
            f"epsilon is {most}, delta {max(deltas, default=0):g}; {safe} sites had all their "
            "noise from OpenDP"
        )
