"""What the server tells those who watch it: figures for Prometheus, and a log of JSON lines."""

__all__ = ["logs", "metrics"]
