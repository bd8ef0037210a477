"""Simulate many clients and rounds on this machine with the package that ships."""

__all__ = ["simulate"]
