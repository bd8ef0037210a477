"""The base that every room may import: the project's record and paths, errors, console, processes.

`config`, `errors` and `paths` run on the standard library of Python 3.10 alone.
"""

__all__ = ["config", "console", "errors", "fedn_client", "paths", "processes"]
