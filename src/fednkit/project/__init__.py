"""The base that every room may import: the project's record, paths, errors, console, processes.

`config`, `errors` and `paths` need only the standard library of Python 3.10.
"""

__all__ = ["config", "console", "errors", "fedn_client", "paths", "processes"]
