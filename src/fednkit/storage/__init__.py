"""Crash-safe storage for FEDn's documents and files, in one folder."""

__all__ = ["check", "interrupted", "move", "store"]
