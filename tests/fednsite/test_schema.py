"""The data contract: what schema.json may say, and what it says of each field."""

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

from fednsite.data.schema import Schema
from fednsite.errors import PackageError

AGE: dict[str, Any] = {
    "name": "age",
    "type": "integer",
    "constraints": {"minimum": 0, "maximum": 120},
    "scale": {"center": 40, "spread": 20},
}
ILL: dict[str, Any] = {"name": "ill", "type": "string", "constraints": {"enum": ["no", "yes"]}}
IMAGE: dict[str, Any] = {"name": "x", "type": "array", "dtype": "uint8", "shape": [28, 28]}


def read(folder: Path, *fields: dict[str, Any], label: str = "ill") -> Schema:
    path = folder / "schema.json"
    path.write_text(json.dumps({"fields": fields, "label": label}), encoding="utf-8")
    return Schema.read(path)


def test_a_field_has_its_type_limits_scale_and_width(tmp_path: Path) -> None:
    dose = {"name": "dose", "type": "number", "constraints": {"minimum": 0, "maximum": 10}}
    free = {"name": "free", "type": "number", "constraints": {"minimum": 3}}
    ward = {"name": "ward", "type": "string", "constraints": {"enum": ["a", "b", "c"]}}
    smoker = {"name": "smoker", "type": "boolean"}
    schema = read(tmp_path, AGE, dose, free, ward, smoker, IMAGE, ILL)
    found = [
        (field.name, field.minimum, field.maximum, field.center, field.spread, field.width)
        for field in schema.features
    ]
    assert found == [
        ("age", 0, 120, 40, 20, 1),
        # A range without a scale of its own becomes -1 to 1.
        ("dose", 0, 10, 5, 5, 1),
        ("free", 3, inf, 0, 1, 1),
        ("ward", -inf, inf, 0, 1, 3),
        ("smoker", 0, 1, 0, 1, 1),
        ("x", -inf, inf, 0, 1, 784),
    ]
    assert [field.rule for field in schema.features[:3]] == [
        "a whole number from 0 to 120",
        "a number from 0 to 10",
        "a number from 3",
    ]
    assert (schema.label.name, schema.label.choices) == ("ill", ("no", "yes"))


@pytest.mark.parametrize(
    ("fields", "label", "expected"),
    [
        ([AGE, ILL], "nothing", "expected an entry 'nothing', found none"),
        ([AGE, ILL], "age", "label 'age': expected an enum of the classes"),
        ([{"name": "x", "type": "date"}, ILL], "ill", "field 'x': expected a type from"),
        ([{"name": "x", "type": "string"}, ILL], "ill", "field 'x': expected an enum"),
        ([ILL], "ill", "expected at least one field besides the label"),
        ([AGE | {"scale": {"spread": 0}}, ILL], "ill", "expected a spread above 0"),
        ([AGE, AGE, ILL], "ill", "expected every field once, found a name twice"),
        ([AGE | {"scale": {"center": "40"}}, ILL], "ill", "expected a number as 'center', found s"),
        ([AGE | {"constraints": {"minimum": 2, "maximum": 1}}, ILL], "ill", "a minimum up to the"),
        ([IMAGE | {"shape": []}, ILL], "ill", "field 'x': expected a shape of whole numbers above"),
        ([IMAGE | {"shape": [2, 0]}, ILL], "ill", "field 'x': expected a shape of whole numbers"),
        ([IMAGE | {"dtype": "O"}, ILL], "ill", "field 'x': expected a shape .* a dtype from"),
        (
            [IMAGE | {"shape": [10**7, 2]}, ILL],
            "ill",
            "up to 10,000,000 features, found 20,000,000",
        ),
    ],
)
def test_a_schema_that_does_not_hold_up_is_refused(
    tmp_path: Path, fields: list[dict[str, Any]], label: str, expected: str
) -> None:
    with pytest.raises(PackageError, match=expected) as error:
        read(tmp_path, *fields, label=label)
    assert str(error.value).startswith(f"{tmp_path / 'schema.json'}: ")
