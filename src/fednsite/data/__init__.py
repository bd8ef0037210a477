"""A site's data: where it is, what it must look like, and how it becomes examples."""

__all__ = ["examples", "images", "location", "npz", "schema", "seeding", "table"]
