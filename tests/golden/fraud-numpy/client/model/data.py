"""Turn the site's table into the examples that the model trains on."""

from pathlib import Path

import numpy as np

from fednsite.data.examples import Array, Examples, Part
from fednsite.data.schema import Schema
from fednsite.data.table import Table, read_table

# The contract for every site's table. Change schema.json for another table.
SCHEMA = Schema.read(Path(__file__).with_name("schema.json"))


def features(table: Table) -> Array:
    """Return the features of each row, float32, shape (rows, features).

    The table satisfies the schema; `table.encoded` has all columns, encoded and scaled.
    """
    own: list[Array] = [
        # Add your own features here, one per line, made of one or more columns. Scale them to about
        # -1 to 1 with constants, not with values from a site's data:
        # np.log1p(table["amount"] / (1 + table["customer_mean_7d"])),
    ]
    return np.column_stack([table.encoded, *own]).astype(np.float32)


def load(part: Part, path: Path | None = None) -> Examples:
    """Return one part of the site's examples; `path` defaults to FEDN_DATA_PATH."""
    table = read_table(SCHEMA, part, path)
    return Examples(features(table), table.labels)


def input_shape() -> tuple[int, ...]:
    """Return the shape of one example's features."""
    blank = Table.blank(SCHEMA)
    return Examples(features(blank), blank.labels).features.shape[1:]


def num_classes() -> int:
    """Return the number of classes."""
    return len(SCHEMA.label.choices)
