"""The initiator's side of a federated project on FEDn: everything behind the command `fednkit`.

Each room is a package of its own; what a room may import is held by import-linter (see
`pyproject.toml`). Nothing here ever ships to a site. Importing this package imports nothing: the
template's hook builds the first archive straight from the wheel, on the standard library alone.
"""

__version__ = "1.0.0"

__all__ = [
    "__version__",
    "aggregation",
    "cli",
    "controller",
    "data",
    "docs",
    "doctor",
    "joining",
    "network",
    "package",
    "project",
    "runs",
    "samples",
    "sessions",
    "simulation",
    "testing",
]
