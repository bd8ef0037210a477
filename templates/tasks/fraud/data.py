"""How the site's table becomes the examples that the model learns from."""

from pathlib import Path

import numpy as np

from fednsite.data.examples import Array, Examples, Part
from fednsite.data.schema import Schema
from fednsite.data.table import Table, read_table

# The contract that every site's table must keep. Another table needs another schema.json.
SCHEMA = Schema.read(Path(__file__).with_name("schema.json"))


def features(table: Table) -> Array:
    """Return the features of each row, float32, shape (rows, features).

    The table keeps the schema; `table.encoded` holds all its columns, ready for the model.
    """
    own: list[Array] = [
        # A feature of your own is a line here, made of one column or of several. Bring it to a
        # range near -1 to 1; no site's data may decide how:
        # np.log1p(table["amount"] / (1 + table["customer_mean_7d"])),
    ]
    return np.column_stack([table.encoded, *own]).astype(np.float32)


def load(part: Part, path: Path | None = None) -> Examples:
    """Return one part of the site's examples; the table lies at FEDN_DATA_PATH, or at `path`."""
    table = read_table(SCHEMA, part, path)
    return Examples(features(table), table.labels)


def input_shape() -> tuple[int, ...]:
    """Return the shape of one example's features."""
    blank = Table.blank(SCHEMA)
    return Examples(features(blank), blank.labels).features.shape[1:]


def num_classes() -> int:
    """Return how many classes there are."""
    return len(SCHEMA.label.choices)
