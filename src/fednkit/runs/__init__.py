"""The record of a run, and what it shows: a report page, a summary, and words."""

__all__ = ["outcomes", "privacy", "records", "report", "run", "summary"]
