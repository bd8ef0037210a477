"""The site's table: what is read, what is refused, and in which words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from model import data
from model.errors import PackageError
from model.schema import Schema

FIELDS: list[dict[str, Any]] = [
    {
        "name": "age",
        "type": "integer",
        "constraints": {"minimum": 0, "maximum": 120},
        "scale": {"center": 40, "spread": 20},
    },
    {"name": "dose", "type": "number", "constraints": {"minimum": 0, "maximum": 10}},
    {"name": "smoker", "type": "boolean"},
    {"name": "ward", "type": "string", "constraints": {"enum": ["a", "b", "c"]}},
    {"name": "ill", "type": "string", "constraints": {"enum": ["no", "yes"]}},
]
HEADER = "age,dose,smoker,ward,ill"
ROWS = ["20,5,true,b,no", "60,10,false,c,yes"]


@pytest.fixture(autouse=True)
def own_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another table than the sample's: the module follows its schema."""
    monkeypatch.setattr(data, "SCHEMA", read_schema(tmp_path, FIELDS))


def read_schema(folder: Path, fields: list[dict[str, Any]], label: str = "ill") -> Schema:
    path = folder / "schema.json"
    path.write_text(json.dumps({"fields": fields, "label": label}))
    return Schema.read(path)


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "site.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_numbers_are_scaled_and_choices_become_columns(tmp_path: Path) -> None:
    dataset = data.load("all", csv(tmp_path, HEADER, *ROWS))
    assert dataset.features.dtype == np.float32
    assert dataset.features.tolist() == [[-1, 0, 1, 0, 1, 0], [1, 1, 0, 0, 0, 1]]
    assert dataset.labels.tolist() == [0, 1]
    assert data.input_shape() == (6,)
    assert data.num_classes() == 2


def test_the_order_of_the_columns_does_not_matter(tmp_path: Path) -> None:
    dataset = data.load("all", csv(tmp_path, "ill,ward,smoker,dose,age", "no,b,true,5,20", *[
        "yes,c,FALSE,10,60"
    ]))  # fmt: skip
    assert dataset.features.tolist() == [[-1, 0, 1, 0, 1, 0], [1, 1, 0, 0, 0, 1]]


def test_parquet_and_csv_give_the_same_dataset(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "age": [20, 60],
            "dose": [5.0, 10.0],
            "smoker": [True, False],
            "ward": ["b", "c"],
            "ill": ["no", "yes"],
        }
    )
    table.write_parquet(tmp_path / "site.parquet")
    from_parquet = data.load("all", tmp_path / "site.parquet")
    from_csv = data.load("all", csv(tmp_path, HEADER, *ROWS))
    assert np.array_equal(from_parquet.features, from_csv.features)
    assert np.array_equal(from_parquet.labels, from_csv.labels)


def test_a_folder_with_one_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    site.mkdir()
    csv(site, HEADER, *ROWS)
    monkeypatch.setenv("FEDN_DATA_PATH", str(site))
    assert len(data.load("all")) == 2


def test_one_in_five_of_each_class_is_held_out_always_the_same(tmp_path: Path) -> None:
    rows = [f"{age},1,true,a,{'yes' if age % 10 == 0 else 'no'}" for age in range(100)]
    path = csv(tmp_path, HEADER, *rows)
    train, test, everything = (data.load(part, path) for part in ("train", "test", "all"))
    assert np.bincount(train.labels).tolist() == [72, 8]
    assert np.bincount(test.labels).tolist() == [18, 2]
    ages = np.concatenate([train.features[:, 0], test.features[:, 0]])
    assert sorted(ages) == sorted(everything.features[:, 0])
    assert np.array_equal(data.load("test", path).features, test.features)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["age,dose,smoker,ward", "1,1,true,a"], "missing column 'ill'"),
        ([f"{HEADER},extra", "1,1,true,a,no,9"], "unknown column 'extra'; remove it, or add it"),
        (["age;dose;smoker;ward;ill", "1;1;true;a;no"], "are the columns separated by commas?"),
        ([HEADER], "expected rows, found none below the header"),
        ([HEADER, "1,1,true,a,no", "2,2,false,b,no"], "at least two classes, found only no"),
        ([HEADER, *ROWS, "x,1,true,a,no"], "column 'age', row 3: expected a whole number from 0 "
         "to 120, found 'x'"),
        ([HEADER, *ROWS, "1.5,1,true,a,no"], "column 'age', row 3: expected a whole number"),
        ([HEADER, *ROWS, ",1,true,a,no"], "column 'age', row 3: expected .* found an empty cell"),
        ([HEADER, *ROWS, "1,NaN,true,a,no"], "column 'dose', row 3: expected a number .*'NaN'"),
        ([HEADER, *ROWS, "1,inf,true,a,no"], "column 'dose', row 3: expected a number .*'inf'"),
        ([HEADER, *ROWS, "1,11,true,a,no"], "column 'dose', row 3: expected a number from 0 to 10"),
        ([HEADER, *ROWS, "1,1,maybe,a,no"], "column 'smoker', row 3: expected true or false"),
        ([HEADER, *ROWS, "1,1,true,z,no"], "column 'ward', row 3: expected one of a, b, c"),
        ([HEADER, *ROWS, "1,1,true,a,perhaps"], "column 'ill', row 3: expected one of no, yes"),
        ([HEADER, *["x,1,true,a,no"] * 4], r"row 1: .* \(and 3 more rows\)"),
        ([HEADER, *ROWS, "1,1,true,a,no,9,9"], "expected a table, found: "),
    ],
)  # fmt: skip
def test_a_table_that_breaks_the_contract_is_refused(
    tmp_path: Path, lines: list[str], expected: str
) -> None:
    path = csv(tmp_path, *lines)
    with pytest.raises(PackageError, match=expected) as error:
        data.load("train", path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00bad", b"PAR1 cut off"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"site{suffix}"
    path.write_bytes(content)
    with pytest.raises(PackageError) as error:
        data.load("train", path)
    assert "\n" not in str(error.value)


def test_a_missing_file_an_empty_folder_and_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="expected a data file"):
        data.load("train", tmp_path / "nowhere.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackageError, match=r"expected one \.csv or \.parquet file in it, found 0"):
        data.load("train", tmp_path / "empty")
    (tmp_path / "table.xlsx").write_bytes(b"")
    with pytest.raises(PackageError, match=r"expected a \.csv or \.parquet file, found '\.xlsx'"):
        data.load("train", tmp_path / "table.xlsx")


@pytest.mark.parametrize(
    ("fields", "label", "expected"),
    [
        (FIELDS, "nothing", "expected an entry 'nothing', found none"),
        (FIELDS, "age", "label 'age': expected an enum of the classes"),
        ([{"name": "x", "type": "date"}, FIELDS[-1]], "ill", "field 'x': expected a type from"),
        ([{"name": "x", "type": "string"}, FIELDS[-1]], "ill", "field 'x': expected an enum"),
        ([FIELDS[-1]], "ill", "expected at least one field beside the label"),
        ([FIELDS[0] | {"scale": {"spread": 0}}, FIELDS[-1]], "ill", "expected a spread above 0"),
    ],
)
def test_a_schema_that_does_not_hold_up_is_refused(
    tmp_path: Path, fields: list[dict[str, Any]], label: str, expected: str
) -> None:
    with pytest.raises(PackageError, match=expected):
        read_schema(tmp_path, fields, label)
