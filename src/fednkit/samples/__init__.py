"""Sample data for the template's tasks."""

__all__ = ["digits", "transactions"]
