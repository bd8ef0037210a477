"""The compute package: its archive, signature, bill of materials, licenses and contents.

`archive` and its imports use only the standard library of Python 3.10.
"""

__all__ = ["archive", "leaks", "library", "licenses", "sbom", "signing"]
