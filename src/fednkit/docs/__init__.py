"""The guide: one page for each topic, printed by fednkit docs."""

__all__ = ["command"]
