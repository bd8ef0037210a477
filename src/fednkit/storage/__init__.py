"""What the server keeps: FEDn's documents and files, in one folder that outlives a crash."""

__all__ = ["check", "interrupted", "move", "store"]
