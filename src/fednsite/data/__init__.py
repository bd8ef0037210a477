"""A site's data: its location, its schema, and its conversion to examples."""

__all__ = ["examples", "images", "location", "npz", "schema", "seeding", "table"]
