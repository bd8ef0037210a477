"""What the sites of a network measured, taken together."""

from fednkit.runs.records import Metrics
from fednkit.sessions.rounds import Round


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
