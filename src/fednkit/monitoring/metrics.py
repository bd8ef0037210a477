"""Serve the server's metrics to Prometheus at /metrics, on this machine's loopback only."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["MetricsCollector", "serve_metrics"]

LOOPBACK = "127.0.0.1"
ROUND_STATUSES = "Finished", "Failed", "Terminated"
SESSION_STATUSES = "Started", "Finished", "Failed", "Terminated"


class MetricsCollector:
    """A collector of prometheus_client, which calls `collect` for each scrape.

    Args:
        state: FEDn's state store.
        reports: Returns the number of reports by site name, see `Sites.report_counts`.
    """

    def __init__(self, state: Any, reports: Callable[[], Mapping[str, int]]) -> None:
        self._state, self._reports = state, reports

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        state = self._state
        online = state.client_store.count(status="online")
        yield GaugeMetricFamily("fednkit_sites_online", "Sites that are connected.", online)
        yield GaugeMetricFamily("fednkit_models", "Global models.", state.model_store.count())
        sessions = GaugeMetricFamily("fednkit_sessions", "Sessions by status.", labels=["status"])
        for status in SESSION_STATUSES:
            sessions.add_metric([status], state.session_store.count(status=status))
        yield sessions
        rounds = CounterMetricFamily("fednkit_rounds", "Rounds that ended.", labels=["status"])
        for status in ROUND_STATUSES:
            rounds.add_metric([status], state.round_store.count(status=status))
        yield rounds
        yield from self._last_round()
        reports = CounterMetricFamily(
            "fednkit_reports",
            "Messages of sites that were rejected or dropped, since the server started.",
            labels=["site"],
        )
        for name, count in self._reports().items():
            reports.add_metric([name], count)
        yield reports

    def _last_round(self) -> Iterator[Metric]:
        """Yield the metrics of the newest finished round, if there is one."""
        newest = self._state.round_store.list(1, 0, "committed_at", status="Finished")
        combined = newest[0].to_dict().get("combiners") if newest else None
        if not combined:
            return
        data = combined[0]["data"]
        updates = data["aggregation_time"]["nr_aggregated_models"]
        yield GaugeMetricFamily(
            "fednkit_last_round_updates", "Updates in the newest round's model.", updates
        )
        yield GaugeMetricFamily(
            "fednkit_last_round_seconds",
            "Seconds from requesting updates to the model of the newest round.",
            combined[0]["time_exec_training"],
        )


def serve_metrics(port: int, collector: MetricsCollector) -> int:
    """Serve the metrics and those of the process; return the port, a free one for 0."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    server, _ = start_http_server(port, LOOPBACK, registry)
    return int(server.server_port)
