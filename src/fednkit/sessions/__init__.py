"""Start, follow, save and resume rounds on a FEDn network, local or remote."""

__all__ = ["budget", "display", "following", "options", "resume", "rounds", "session"]
