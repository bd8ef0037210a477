"""The one exception that the model library raises for a person's mistake."""


class PackageError(Exception):
    """A mistake that a person can mend.

    The message is one line: what was expected, what was found, where, and what to do.
    """
