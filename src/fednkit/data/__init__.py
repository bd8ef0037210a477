"""Schemas, the data of the trial sites, and the seed model."""

__all__ = ["check", "images", "kinds", "partition", "schema", "seed", "sites", "tables"]
