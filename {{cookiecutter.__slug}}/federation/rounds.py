"""Follow a session on a FEDn network: what each round brought, and what went wrong."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fedn import APIClient

from .budgets import Told, told
from .controller import listed
from .functions import NO_AGGREGATOR
from .project import ProjectError, one_line
from .records import Metrics, RecordError, sent_metrics
from .standing import standing_of

# Seconds between two looks at the network, and those that FEDn may take beyond a round's timeout.
POLL, GRACE = 0.5, 60
# So often it is looked again for what a site that is alive has not told yet.
LOOKS = 10


@dataclass
class Round:
    """One round. Metrics are of the model that it made, measured by each site.

    cause: why it failed.
    """

    number: int
    finished: bool
    model_id: str | None = None
    updates: int = 0
    seconds: float = 0.0
    sites: dict[str, Metrics] = field(default_factory=dict)
    cause: str = ""
    # What is wrong with the metrics that a site sent; it has none in `sites` then.
    unusable: dict[str, str] = field(default_factory=dict)
    # What the sites' updates say of their privacy, and whether all had used up their budgets:
    # then the round changed nothing.
    privacy: dict[str, Told] = field(default_factory=dict)
    used_up: bool = False
    # Who was refused, clipped or passed over; see settling.py. Known of an embedded network only.
    standing: dict[str, Any] = field(default_factory=dict)

    def mean(self) -> Metrics:
        """Return each metric's mean over the sites that have it, weighted by their examples."""
        # Not every site has them: few held-out examples keep theirs.
        names = {name: None for metrics in self.sites.values() for name in metrics}
        names.pop("num_examples", None)
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
    keep: Callable[[Round], None],
    done: int = 0,
) -> Iterator[Round]:
    """Yield each round of a session when it and its validation are complete.

    timeout: of a round, seconds. living: returns the names of the sites that can still answer;
    it raises when nothing can go on. say: tells the person what is late, and who is missing.
    keep: is handed a round as soon as it made a model, which its validation may come long after.
    done: how many rounds came before this session, in the run that it goes on with.
    Raises `ProjectError` when the session stops moving.
    """
    reported, late, kept, looks, over = 0, 0, 0, 0, 0
    moved, asked = time.monotonic(), living()
    while True:
        alive = living()
        finished = api.get_session_status(session) in ("Finished", "Terminated", "Failed")
        rounds = _rounds(api, session)
        while reported < len(rounds) and _is_over(rounds[reported]):
            entry = rounds[reported]
            result = _result(api, session, entry, number=done + reported + 1)
            senders = _senders(api, session, entry)
            _add_privacy(result, senders)
            if result.finished and not result.used_up and result.number > kept:
                keep(result)
                kept = result.number
            if over <= reported:
                # Its validation begins now, however long the round took.
                over, moved = reported + 1, time.monotonic()
            waited = time.monotonic() - moved
            unheard = alive - set(result.sites) if result.finished else set()
            # A site tells of its update after it, and a round may end in between.
            untold = alive - set(result.privacy) if result.used_up else set()
            superseded = reported + 1 < len(rounds) and _is_over(rounds[reported + 1])
            if unheard and not superseded and waited < timeout:
                break
            if untold and looks < LOOKS:
                looks += 1
                break
            absent = asked - set(senders)
            if late <= reported and result.updates < len(asked) and absent and result.finished:
                say(f"round {result.number} ended without {', '.join(sorted(absent))}")
            if unheard:
                say(f"round {result.number}: no validation from {', '.join(sorted(unheard))}")
            for site, cause in result.unusable.items():
                say(f"round {result.number}: the validation of {site} is left out: {cause}")
            yield result
            reported, looks = reported + 1, 0
            moved, asked = time.monotonic(), alive
        if finished and reported == len(rounds):
            return
        waited = time.monotonic() - moved
        if waited > timeout and late <= reported:
            late = reported + 1
            sent = _senders(api, session, rounds[reported]) if reported < len(rounds) else {}
            missing = ", ".join(sorted((asked | alive) - set(sent))) or "nobody"
            say(f"round {done + late} is over its {timeout:g} s; still missing: {missing}")
        if waited > timeout + GRACE:
            raise ProjectError(
                f"round {done + reported + 1} did not end within {timeout:g} s and {GRACE} s more"
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
    standing = standing_of(entry)
    if entry["status"] != "Finished":
        required = entry["round_config"].get("clients_required", 1)
        # Without one that took part, it was not begun.
        few = f"fewer than {required} of the sites were online" if not entry["combiners"] else ""
        cause = few or "FEDn got no usable update"
        asked = str(entry["round_config"].get("aggregator_kwargs"))
        if not few and not standing and asked == str(NO_AGGREGATOR):
            cause += ", or its service for server functions (fedn hooks start) ran no defence"
        return Round(number, finished=False, cause=cause, standing=standing)
    combined = entry["combiners"][0]
    parent = entry["round_config"]["model_id"]
    models = listed(api.get_models(session_id=session))
    made = {model["parent_model"]: model["model_id"] for model in models}
    # After rounds that failed, the first that does not begins with the controller's newest model,
    # and FEDn names the one that the session should have begun with.
    model = made.get(parent) or next(m for p, m in made.items() if p not in made.values())
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
        standing=standing,
    )


def _senders(api: APIClient, session: str, entry: dict[str, Any]) -> dict[str, Told]:
    """Return the sites whose update in a round has come, and what it says of its privacy.

    An update names the model it started from.
    """
    model = entry["round_config"]["model_id"]
    return {
        one_line(status["sender"]["name"]): told(status)
        for status in listed(api.get_statuses(session_id=session))
        if status["status"] == "Model update completed." and _trained_from(status["data"]) == model
    }


def _add_privacy(result: Round, senders: dict[str, Told]) -> None:
    result.privacy = {name: one for name, one in sorted(senders.items()) if one}
    result.used_up = bool(senders) and all(one.get("exhausted") for one in senders.values())


def _trained_from(text: str) -> Any:
    """Return the model that a site says its update started from; None where it says none."""
    try:
        return json.loads(text)["modelId"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
