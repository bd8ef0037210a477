"""Monitor the server: metrics for Prometheus, and a log of JSON lines."""

__all__ = ["logs", "metrics"]
