"""The command line. It is thin: every command is a module of another room."""

__all__ = ["main"]
