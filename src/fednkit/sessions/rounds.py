"""The rounds of a session as FEDn's API tells them: what each brought, and what went wrong."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedn import APIClient

from ..aggregation.server_functions import NO_AGGREGATOR
from ..controller.connection import listed
from ..project.errors import ProjectError, one_line
from ..runs.outcomes import outcome_of
from ..runs.records import Metrics, RecordError, sent_metrics

__all__ = [
    "Round",
    "add_privacy",
    "is_over",
    "newest_session",
    "round_result",
    "session_rounds",
    "update_senders",
]

# What an update's metadata state of its privacy.
PrivacyReport = dict[str, Any]
PRIVACY_NUMBERS = ("noise", "clip", "budget", "delta", "epsilon", "updates")
# Of a site's message about its update, without the weights. The guard takes metadata of 1 MB; here
# they are quoted.
MAX_STATUS_CHARACTERS = 1 << 22


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
    privacy: dict[str, PrivacyReport] = field(default_factory=dict)
    used_up: bool = False
    # Who was refused, clipped or passed over (combination.py). Only an embedded network tells.
    outcome: dict[str, Any] = field(default_factory=dict)

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


def newest_session(api: APIClient) -> str:
    """Return the id of the session that was made last."""
    sessions = listed(api.get_sessions(n_max=1))
    if not sessions:
        raise ProjectError("the controller has no session; start one: session start")
    return str(sessions[0]["session_id"])


def session_rounds(api: APIClient, session: str) -> list[dict[str, Any]]:
    """Return FEDn's records of the rounds of a session, in order."""
    entries = listed(api.get_rounds())
    # A round that has just been made has no configuration yet.
    mine = [
        entry for entry in entries if (entry["round_config"] or {}).get("session_id") == session
    ]
    return sorted(mine, key=lambda entry: int(entry["round_id"]))


def is_over(entry: dict[str, Any]) -> bool:
    """Tell whether a record says that its round, or its session, has ended."""
    return entry["status"] in ("Finished", "Failed", "Terminated")


def round_result(api: APIClient, session: str, entry: dict[str, Any], number: int) -> Round:
    """Return what a round brought, from FEDn's record of it and what its sites sent."""
    outcome = outcome_of(entry)
    if entry["status"] != "Finished":
        required = entry["round_config"].get("clients_required", 1)
        # Without one that took part, it was not begun.
        few = f"fewer than {required} of the sites were online" if not entry["combiners"] else ""
        cause = few or "FEDn got no usable update"
        asked = str(entry["round_config"].get("aggregator_kwargs"))
        if not few and not outcome and asked == str(NO_AGGREGATOR):
            cause += ", or its service for server functions (fedn hooks start) ran no defence"
        return Round(number, finished=False, cause=cause, outcome=outcome)
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
        outcome=outcome,
    )


def update_senders(api: APIClient, session: str, entry: dict[str, Any]) -> dict[str, PrivacyReport]:
    """Return the sites whose update in a round has come, and what it says of its privacy.

    An update names the model it started from. A round that failed is repeated from the same model;
    FEDn's clients send its settings back, and with them its id.
    """
    model, of_round = entry["round_config"]["model_id"], (str(entry["round_id"]), None)
    return {
        one_line(status["sender"]["name"]): _privacy_report(status)
        for status in listed(api.get_statuses(session_id=session))
        if status["status"] == "Model update completed."
        and _trained_from(status["data"]) == model
        and _round_id(status["data"]) in of_round
    }


def add_privacy(result: Round, senders: dict[str, PrivacyReport]) -> None:
    """Put what the sites reported of their privacy into a round."""
    result.privacy = {name: one for name, one in sorted(senders.items()) if one}
    result.used_up = bool(senders) and all(one.get("exhausted") for one in senders.values())


def _trained_from(text: str) -> Any:
    """Return the model that a site says its update started from; None where it says none."""
    try:
        return _read_status(text)["modelId"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _round_id(text: str) -> str | None:
    """Return the round that a site says its update is of; None where it says none."""
    try:
        return str(json.loads(json.loads(_read_status(text)["meta"])["config"])["round_id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _privacy_report(status: Mapping[str, Any]) -> PrivacyReport:
    """Return what an update's metadata state of its privacy; nothing where they do not.

    status: FEDn's record of an update that has arrived: its message without the weights. A site
    writes it, so only known entries are taken.
    """
    try:
        meta = _read_status(status["data"])["meta"]
        found = json.loads(meta)["training_metadata"]["privacy"]
        known: PrivacyReport = {
            name: found[name] for name in PRIVACY_NUMBERS if _is_number(found[name])
        }
        # A package of an earlier version does not tell.
        if "safe_updates" in found and _is_number(found["safe_updates"]):
            known["safe_updates"] = found["safe_updates"]
        return {**known, "exhausted": found["exhausted"] is True}
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def _read_status(text: str) -> Any:
    """Return a site's message about its update; raise `ValueError` for one that is too long."""
    if len(text) > MAX_STATUS_CHARACTERS:
        raise ValueError("too long")
    return json.loads(text)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return False
    # Not NaN, nor a whole number that no float can be.
    return value is None or abs(value) <= sys.float_info.max
