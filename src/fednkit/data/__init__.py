"""What the federation starts with: schemas, the trial sites' data, and the seed model."""

__all__ = ["check", "images", "kinds", "partition", "schema", "seed", "sites", "tables"]
