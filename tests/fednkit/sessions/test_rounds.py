"""What the sites of a network measured, taken together, and whose update came in a round."""

import json
from typing import Any

from fednkit.runs.records import Metrics
from fednkit.sessions.rounds import Round, update_senders


def test_a_round_has_the_mean_of_those_sites_that_send_their_metrics() -> None:
    sites: dict[str, Metrics] = {
        "site-1": {"num_examples": 3},
        "site-2": {"accuracy": 0.5, "num_examples": 40},
    }
    assert Round(1, finished=True, sites=sites).mean() == {"accuracy": 0.5}


def test_a_site_counts_by_its_examples_and_an_undefined_metric_not_at_all() -> None:
    sites: dict[str, Metrics] = {
        "site-1": {"accuracy": 1.0, "roc_auc": None, "num_examples": 30},
        "site-2": {"accuracy": 0.5, "roc_auc": None, "num_examples": 10},
    }
    assert Round(1, finished=True, sites=sites).mean() == {"accuracy": 0.875, "roc_auc": None}


def test_an_update_counts_in_its_own_round_and_not_in_the_repetition_of_a_failed_one() -> None:
    def status(site: str, **said: str) -> dict[str, Any]:
        data = json.dumps({"modelId": "m", "meta": json.dumps({"config": json.dumps(said)})})
        return {"status": "Model update completed.", "sender": {"name": site}, "data": data}

    class Controller:
        def get_statuses(self, session_id: str) -> dict[str, Any]:
            assert session_id == "s"
            found = [status("site-1", round_id="1"), status("site-2", round_id="2")]
            return {"result": [*found, status("site-3")]}

    controller: Any = Controller()
    entry = {"round_id": "2", "round_config": {"model_id": "m"}}
    assert update_senders(controller, "s", entry) == {"site-2": {}, "site-3": {}}
