"""Errors that report a mistake of the initiator."""

from fednsite.errors import PackageError, one_line

__all__ = ["PackageError", "ProjectError", "one_line"]


class ProjectError(PackageError):
    """A mistake that the initiator can fix; the message says how, in one line."""
