"""A FEDn network on this machine: FEDn's controller and combiner with embedded storage."""

__all__ = ["local", "serve", "server"]
