"""Attack and defence in words: who was bad in a round, and what became of each update."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import Run

__all__ = ["HEAD", "outcome_of", "rows", "warnings", "words"]

# What may stand in a round's line beside its metrics, and the head of the report's table.
KINDS = ("attackers", "refused", "clipped", "passed_over", "exhausted")
HEAD = ("round", *(kind.replace("_", " ") for kind in KINDS), "the model")
# More clients than this are counted, not named.
NAMED = 12


def outcome_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome in FEDn's record of a round; nothing where there is none."""
    for combined in entry.get("combiners") or []:
        settings = (combined.get("config") or {}).get("client_settings") or {}
        if "outcome" in settings:
            return dict(json.loads(settings["outcome"]))
    return {}


def warnings(outcome: dict[str, Any], name: Callable[[Any], str], offset: int = 0) -> Iterator[str]:
    """Yield what the initiator must hear of a round.

    Who was refused, who did what a site may not, and why the model stays.
    Whose privacy budget is used up is said once, by whoever follows the rounds.
    outcome: as `combination.combine_round` returns it. name: makes a name of what it calls the
    clients, which are numbers with an `offset`, or names already.
    """
    for client, why in outcome.get("refused", {}).items():
        yield f"{name(client + offset if offset else client)} refused: {why}"
    for site, done in outcome.get("reported", {}).items():
        yield f"{name(site)}: {'; '.join(done)}"
    if why := outcome.get("stays"):
        yield f"the model stays as it is: {why}"


def rows(lines: list[dict[str, Any]]) -> list[list[str]]:
    """Return a row of the report's table for each round in which there was anything to tell."""
    told = [line for line in lines if any(line.get(kind) for kind in (*KINDS, "stays"))]
    return [
        [str(line["round"])]
        + [_sites(line.get(kind) or []) for kind in KINDS]
        + [f"stays: {line['stays']}" if line.get("stays") else "is new"]
        for line in told
    ]


def words(run: "Run") -> str:
    """Say what was tried, and how often it was found out."""
    options = run.config["options"]
    attack = options.get("attack")
    strength = options.get("attack_strength")
    tried = "No attack was simulated" if attack is None else f"Bad clients: {attack}"
    tried += "" if strength is None else f", strength {strength:g}"
    bound = options.get("norm_bound")
    against = f"combined by {options.get('aggregator')}"
    against += "" if bound is None else f", updates bounded to a norm of {bound:g}"
    counts = {"bad": [0, 0], "honest": [0, 0]}
    for line in run.lines:
        bad = {str(client) for client in line.get("attackers") or []}
        found = {
            str(client)
            for kind in ("refused", "clipped", "passed_over")
            for client in line.get(kind) or []
        }
        absent = {str(client) for kind in ("dropped", "late", "failed") for client in line[kind]}
        for client in {str(client) for client in line["clients"]} - absent:
            kind = counts["bad" if client in bad else "honest"]
            kind[0] += 1
            kind[1] += client in found
    shares = [
        f"{found} of {sent} updates of {who} clients"
        for who, (sent, found) in counts.items()
        if sent
    ]
    return f"{tried}; {against}. Refused, clipped or passed over: {', '.join(shares)}."


def _sites(clients: Any) -> str:
    """Return clients as a person counts them, from 1; many of them as their number."""
    numbers = sorted(int(client) + 1 for client in clients)
    if len(numbers) > NAMED:
        return f"{len(numbers)} sites"
    return ", ".join(map(str, numbers)) or "-"
