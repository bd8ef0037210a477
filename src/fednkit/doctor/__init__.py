"""Check the machine, the project and a controller for problems, and print how to fix them."""

__all__ = ["command", "where"]
