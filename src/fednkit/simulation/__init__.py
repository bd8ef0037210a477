"""Many clients and rounds in this machine's processes, from the archive that ships."""

__all__ = ["simulate"]
