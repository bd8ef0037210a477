"""A FEDn controller that runs elsewhere: reach it, hand it the package, let sites join."""

__all__ = ["connection", "deployment", "invite", "secrets", "tokens", "upload"]
