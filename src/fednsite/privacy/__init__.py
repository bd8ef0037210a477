"""Differential privacy at the site: noise on the update, its cost in epsilon, and the ledger."""

__all__ = ["accounting", "ledger", "mechanism"]
