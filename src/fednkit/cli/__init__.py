"""The command line. Each command is a module of another room."""

__all__ = ["main"]
