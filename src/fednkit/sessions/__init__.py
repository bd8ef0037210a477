"""Rounds on a FEDn network, wherever it runs: start them, follow them, keep and resume them."""

__all__ = ["budget", "display", "following", "resume", "round_options", "rounds", "session"]
