"""Rounds on a FEDn network, wherever it runs: start them, follow them, keep and resume them."""

__all__ = ["budget", "display", "following", "options", "resume", "rounds", "session"]
