"""The compute package: its archive, signature, bill of materials, licenses, and what it holds.

`archive` and what it imports run on the standard library of Python 3.10 alone.
"""

__all__ = ["archive", "leaks", "library", "licenses", "sbom", "signing"]
