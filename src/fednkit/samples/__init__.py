"""Sample data of the tasks that the template offers."""

__all__ = ["digits", "transactions"]
