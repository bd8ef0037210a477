"""Use a FEDn controller on another machine: connect, upload the package, invite sites."""

__all__ = ["connection", "deployment", "invite", "secrets", "tokens", "upload"]
