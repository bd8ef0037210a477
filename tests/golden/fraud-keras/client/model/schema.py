"""The data contract in schema.json, read once and checked: a Frictionless Table Schema.

It has three words of our own. "label" names the field to predict. "scale" gives a number's
centre and spread; scaling constants come from the schema and never from a site's rows, so that
all sites scale alike. The type "array" has a "shape" and a "dtype".
"""

import json
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from .errors import PackageError

TYPES = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "a text",
    "array": "an array",
}


@dataclass(frozen=True)
class Field:
    """One column or array: what it may hold, and how a number is scaled."""

    name: str
    type: str
    choices: tuple[Any, ...] = ()
    minimum: float = -inf
    maximum: float = inf
    center: float = 0.0
    spread: float = 1.0
    shape: tuple[int, ...] = ()
    dtype: str = ""

    @property
    def width(self) -> int:
        """How many features a column becomes: one per choice, or one number."""
        return len(self.choices) or 1

    @property
    def rule(self) -> str:
        """What a cell must hold, in words."""
        words = TYPES[self.type]
        if self.type == "boolean":
            return words
        if self.minimum > -inf and self.maximum < inf:
            return f"{words} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum > -inf:
            return f"{words} from {self.minimum:g}"
        return f"{words} up to {self.maximum:g}" if self.maximum < inf else words


@dataclass(frozen=True)
class Schema:
    """All fields of a site's data: those the model sees, and the one it predicts."""

    features: tuple[Field, ...]
    label: Field

    @classmethod
    def read(cls, path: Path) -> "Schema":
        """Read a schema. Raises `PackageError` that names the field which does not hold up."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            fields = {entry["name"]: _field(entry) for entry in content["fields"]}
            label = fields.pop(content["label"])
        except KeyError as error:
            raise PackageError(f"{path}: expected an entry {error}, found none") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise PackageError(f"{path}: {error}") from None
        if len(label.choices) < 2:
            raise PackageError(f"{path}: label '{label.name}': expected an enum of the classes")
        if not fields:
            raise PackageError(f"{path}: expected at least one field beside the label")
        return cls(tuple(fields.values()), label)


def _field(entry: dict[str, Any]) -> Field:
    name, kind = entry["name"], entry.get("type", "string")
    constraints = entry.get("constraints", {})
    choices = tuple(constraints.get("enum", ()))
    if kind not in TYPES:
        raise ValueError(f"field '{name}': expected a type from {', '.join(TYPES)}, found '{kind}'")
    if kind == "string" and not choices:
        raise ValueError(f"field '{name}': expected an enum, because a model needs known values")
    low, high = constraints.get("minimum", -inf), constraints.get("maximum", inf)
    center, spread = 0.0, 1.0
    if kind == "boolean":
        low, high = 0, 1
    elif low > -inf and high < inf:
        # Without a scale of its own, a range is brought to -1 … 1.
        center, spread = (low + high) / 2, (high - low) / 2
    scale = entry.get("scale", {})
    center, spread = scale.get("center", center), scale.get("spread", spread)
    if not spread > 0:
        raise ValueError(f"field '{name}': expected a spread above 0, found {spread}")
    shape, dtype = tuple(entry.get("shape", ())), entry.get("dtype", "")
    return Field(name, kind, choices, low, high, center, spread, shape, dtype)
