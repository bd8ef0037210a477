"""Follow a session on a FEDn network: what each round brought, and what went wrong."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fedn import APIClient

from .controller import listed
from .project import ProjectError, one_line
from .records import Metrics, RecordError, sent_metrics

# Seconds between two looks at the network, and those that FEDn may take beyond a round's timeout.
POLL, GRACE = 0.5, 60


@dataclass
class Round:
    """One round. Metrics are of the model that it made, measured by each site."""

    number: int
    finished: bool
    model_id: str | None = None
    updates: int = 0
    seconds: float = 0.0
    sites: dict[str, Metrics] = field(default_factory=dict)
    # What is wrong with the metrics that a site sent; it has none in `sites` then.
    unusable: dict[str, str] = field(default_factory=dict)

    def mean(self) -> Metrics:
        """Return each metric's mean over the sites that have it, weighted by their examples."""
        known = (name for metrics in self.sites.values() for name in metrics)
        names = [name for name in dict.fromkeys(known) if name != "num_examples"]
        means: Metrics = {}
        for name in names:
            pairs = [
                (value, metrics.get("num_examples") or 1)
                for metrics in self.sites.values()
                if (value := metrics.get(name)) is not None
            ]
            total = sum(weight for _, weight in pairs)
            means[name] = sum(value * weight for value, weight in pairs) / total if pairs else None
        return means


def follow(
    api: APIClient,
    session: str,
    timeout: float,
    living: Callable[[], set[str]],
    say: Callable[[str], None],
) -> Iterator[Round]:
    """Yield each round of a session when it and its validation are complete.

    timeout: of a round, seconds. living: returns the names of the sites that can still answer;
    it raises when nothing can go on. say: tells the person what is late, and who is missing.
    Raises `ProjectError` when the session stops moving.
    """
    reported, late = 0, 0
    moved = time.monotonic()
    while True:
        alive = living()
        finished = api.get_session_status(session) in ("Finished", "Terminated", "Failed")
        rounds = _rounds(api, session)
        while reported < len(rounds) and _is_over(rounds[reported]):
            entry = rounds[reported]
            result = _result(api, session, entry, number=reported + 1)
            waited = time.monotonic() - moved
            unheard = alive - set(result.sites) if result.finished else set()
            superseded = reported + 1 < len(rounds) and _is_over(rounds[reported + 1])
            if unheard and not superseded and waited < timeout:
                break
            if unheard:
                say(f"round {result.number}: no validation from {', '.join(sorted(unheard))}")
            for site, cause in result.unusable.items():
                say(f"round {result.number}: the validation of {site} is left out: {cause}")
            yield result
            reported += 1
            moved = time.monotonic()
        if finished and reported == len(rounds):
            return
        waited = time.monotonic() - moved
        if waited > timeout and late <= reported:
            late = reported + 1
            sent = _senders(api, session, rounds[reported]) if reported < len(rounds) else set()
            missing = ", ".join(sorted(alive - sent)) or "nobody"
            say(f"round {late} is over its {timeout:g} s; still missing: {missing}")
        if waited > timeout + GRACE:
            raise ProjectError(
                f"round {reported + 1} did not end within {timeout:g} s and {GRACE} s more"
            )
        time.sleep(POLL)


def _rounds(api: APIClient, session: str) -> list[dict[str, Any]]:
    entries = listed(api.get_rounds())
    # A round that has just been made has no configuration yet.
    mine = [
        entry for entry in entries if (entry["round_config"] or {}).get("session_id") == session
    ]
    return sorted(mine, key=lambda entry: int(entry["round_id"]))


def _is_over(entry: dict[str, Any]) -> bool:
    return entry["status"] in ("Finished", "Failed", "Terminated")


def _result(api: APIClient, session: str, entry: dict[str, Any], number: int) -> Round:
    if entry["status"] != "Finished":
        return Round(number, finished=False)
    combined = entry["combiners"][0]
    parent = entry["round_config"]["model_id"]
    models = listed(api.get_models(session_id=session))
    model = next(model["model_id"] for model in models if model["parent_model"] == parent)
    # Filtered here: the client's filters have names that the server does not know.
    validations = [v for v in listed(api.get_validations()) if v["model_id"] == model]
    sites: dict[str, Metrics] = {}
    unusable = {}
    for validation in validations:
        name = one_line(validation["sender"]["name"])
        try:
            sites[name] = sent_metrics(validation["data"])
        except RecordError as error:
            sites[name], unusable[name] = {}, one_line(str(error))
    return Round(
        number,
        finished=True,
        model_id=model,
        updates=combined["data"]["aggregation_time"]["nr_aggregated_models"],
        seconds=combined["time_exec_training"],
        sites=sites,
        unusable=unusable,
    )


def _senders(api: APIClient, session: str, entry: dict[str, Any]) -> set[str]:
    """Return the sites whose update in a round has come: it names the model it started from."""
    model = entry["round_config"]["model_id"]
    return {
        one_line(status["sender"]["name"])
        for status in listed(api.get_statuses(session_id=session))
        if status["status"] == "Model update completed." and _trained_from(status["data"]) == model
    }


def _trained_from(text: str) -> Any:
    """Return the model that a site says its update started from; None where it says none."""
    try:
        return json.loads(text)["modelId"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
