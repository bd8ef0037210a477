"""Look for what is wrong with the machine, the project and a controller, and say what fixes it."""

__all__ = ["command", "where"]
