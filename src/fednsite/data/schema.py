"""Read and check the data contract in schema.json, a Frictionless Table Schema.

There are three extensions. "label" names the field to predict. "scale" gives a number's centre and
spread; these come from the schema and never from a site's rows, so that all sites scale alike. The
type "array" has a "shape" and a "dtype".
"""

import math
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from ..errors import PackageError
from ..files import read_json_object

__all__ = ["Field", "Schema"]

TYPES = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "a text",
    "array": "an array",
}
DTYPES = ("uint8", "uint16", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
# More features are a mistake; the first layer would not fit in memory.
MAX_FEATURES = 10_000_000
MAX_CLASSES = 10_000
# Limit on a center, a spread and its reciprocal, so that scaling stays within float32.
MAX_SCALE = 1e30


@dataclass(frozen=True)
class Field:
    """One column or array: its valid values and its scale."""

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
        """The number of features: an array's size, one per choice, or one for a number."""
        return math.prod(self.shape) if self.shape else len(self.choices) or 1

    @property
    def rule(self) -> str:
        """A description of the valid values."""
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
    """The fields of a site's data: the model's inputs, and the label to predict."""

    features: tuple[Field, ...]
    label: Field

    @classmethod
    def read(cls, path: Path) -> "Schema":
        """Read a schema. Raises `PackageError` that names the invalid field."""
        content = read_json_object(path)
        try:
            entries = [(str(entry["name"]), _field(entry)) for entry in content["fields"]]
            fields = dict(entries)
            label = fields.pop(content["label"])
        except KeyError as error:
            raise PackageError(f"{path}: expected an entry {error}, found none") from None
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise PackageError(f"{path}: {error}") from None
        if len(fields) + 1 < len(entries):
            raise PackageError(f"{path}: expected every field once, found a name twice")
        if (width := sum(field.width for field in fields.values())) > MAX_FEATURES:
            raise PackageError(f"{path}: expected up to {MAX_FEATURES:,} features, found {width:,}")
        if not 2 <= len(label.choices) <= MAX_CLASSES:
            raise PackageError(
                f"{path}: label '{label.name}': expected an enum of the classes, from 2 to "
                f"{MAX_CLASSES:,}, found {len(label.choices):,}"
            )
        if not fields:
            raise PackageError(f"{path}: expected at least one field besides the label")
        return cls(tuple(fields.values()), label)


def _field(entry: dict[str, Any]) -> Field:
    name, kind = entry["name"], entry.get("type", "string")
    constraints = entry.get("constraints", {})
    enum = constraints.get("enum", [])
    if not isinstance(name, str) or not isinstance(enum, list):
        raise TypeError("expected a text as a field's name, and an enum that is a list")
    if kind not in TYPES:
        raise ValueError(f"field '{name}': expected a type from {', '.join(TYPES)}, found '{kind}'")
    if kind == "string" and not enum:
        raise ValueError(f"field '{name}': expected an enum, because a model needs known values")
    if len({str(choice) for choice in enum}) < len(enum):
        raise ValueError(f"field '{name}': expected every choice once in its enum")
    if not all(isinstance(choice, str | int | float) for choice in enum):
        raise TypeError(f"field '{name}': expected texts and numbers in its enum")
    low, high = _number(constraints, "minimum", -inf), _number(constraints, "maximum", inf)
    if not low <= high:
        raise ValueError(f"field '{name}': expected a minimum up to the maximum, found {low}")
    center, spread = 0.0, 1.0
    if kind == "boolean":
        low, high = 0, 1
    elif low > -inf and high < inf:
        # Without a scale, the range is scaled to -1 … 1.
        center, spread = (low + high) / 2, (high - low) / 2
    scale = entry.get("scale", {})
    center, spread = _number(scale, "center", center), _number(scale, "spread", spread)
    if not 1 / MAX_SCALE < spread < MAX_SCALE:
        raise ValueError(f"field '{name}': expected a spread above 0, found {spread}")
    if not -MAX_SCALE < center < MAX_SCALE:
        raise ValueError(f"field '{name}': expected a center within float32, found {center}")
    shape, dtype = tuple(entry.get("shape", ())), entry.get("dtype", "")
    if kind == "array" and (
        dtype not in DTYPES or not shape or not all(type(n) is int and n > 0 for n in shape)
    ):
        raise ValueError(
            f"field '{name}': expected a shape of whole numbers above 0, and a dtype from "
            f"{', '.join(DTYPES)}, found {list(shape)} and {dtype!r}"
        )
    return Field(name, kind, tuple(enum), low, high, center, spread, shape, dtype)


def _number(entry: dict[str, Any], key: str, default: float) -> float:
    value = entry.get(key, default)
    if type(value) not in (int, float):
        raise TypeError(f"expected a number as '{key}', found {type(value).__name__}")
    # Raises OverflowError for whole numbers beyond float64.
    float(value)
    return value  # type: ignore[no-any-return]
