"""The site's table: what is read, what is refused, and in which words."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fednsite.data.schema import Field, Schema
from fednsite.data.table import Table, read_table
from fednsite.errors import PackageError

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
ENCODED = [[-1, 0, 1, 0, 1, 0], [1, 1, 0, 0, 0, 1]]


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"fields": FIELDS, "label": "ill"}))
    return Schema.read(path)


def test_the_blank_row_keeps_the_limits() -> None:
    below = Schema((Field("debt", "number", (), -9.0, -2.0),), Field("y", "integer", (0, 1)))
    assert Table.blank(below)["debt"].tolist() == [-2.0]


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "site.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def parquet(folder: Path) -> Path:
    """Write the rows of `ROWS` with their types."""
    table = pl.DataFrame(
        {
            "age": [20, 60],
            "dose": [5.0, 10.0],
            "smoker": [True, False],
            "ward": ["b", "c"],
            "ill": ["no", "yes"],
        }
    )
    table.write_parquet(folder / "site.parquet")
    return folder / "site.parquet"


def test_numbers_are_scaled_and_choices_become_columns(tmp_path: Path, schema: Schema) -> None:
    table = read_table(schema, "all", csv(tmp_path, HEADER, *ROWS))
    assert table.encoded.dtype == np.float32
    assert table.encoded.tolist() == ENCODED
    assert table.labels.dtype == np.int64
    assert table.labels.tolist() == [0, 1]
    assert len(table) == 2


def test_the_order_of_the_columns_does_not_matter(tmp_path: Path, schema: Schema) -> None:
    turned = csv(tmp_path, "ill,ward,smoker,dose,age", "no,b,true,5,20", "yes,c,FALSE,10,60")
    assert read_table(schema, "all", turned).encoded.tolist() == ENCODED


def test_a_column_can_be_had_by_its_name_as_it_stands_in_the_file(
    tmp_path: Path, schema: Schema
) -> None:
    for path in (csv(tmp_path, HEADER, *ROWS), parquet(tmp_path)):
        table = read_table(schema, "all", path)
        assert table["age"].dtype == np.float64
        assert table["age"].tolist() == [20, 60]
        assert table["dose"].tolist() == [5, 10]
        assert table["smoker"].tolist() == [1, 0]
        assert table["ward"].tolist() == ["b", "c"]
        for unknown in ("ill", "weight"):
            expected = f"other than the label (age, dose, smoker, ward), found '{unknown}'"
            with pytest.raises(PackageError, match=re.escape(expected)):
                table[unknown]


def test_the_shape_of_the_features_is_known_without_data(schema: Schema) -> None:
    blank = Table.blank(schema)
    assert blank.encoded.shape == (1, 6)
    assert blank.encoded.dtype == np.float32
    assert [blank[name].tolist() for name in ("age", "smoker", "ward")] == [[0], [0], ["a"]]


def test_parquet_and_csv_give_the_same_examples(tmp_path: Path, schema: Schema) -> None:
    from_parquet = read_table(schema, "all", parquet(tmp_path))
    from_csv = read_table(schema, "all", csv(tmp_path, HEADER, *ROWS))
    assert np.array_equal(from_parquet.encoded, from_csv.encoded)
    assert np.array_equal(from_parquet.labels, from_csv.labels)


def test_a_folder_with_one_table_is_enough(
    tmp_path: Path, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    csv(site, HEADER, *ROWS)
    monkeypatch.setenv("FEDN_DATA_PATH", str(site))
    assert len(read_table(schema, "all")) == 2


def test_one_in_five_of_each_class_is_held_out_always_the_same(
    tmp_path: Path, schema: Schema
) -> None:
    rows = [f"{age},1,true,a,{'yes' if age % 10 == 0 else 'no'}" for age in range(100)]
    path = csv(tmp_path, HEADER, *rows)
    train, test, everything = (read_table(schema, part, path) for part in ("train", "test", "all"))
    assert np.bincount(train.labels).tolist() == [72, 8]
    assert np.bincount(test.labels).tolist() == [18, 2]
    ages = np.concatenate([train["age"], test["age"]])
    assert sorted(ages) == sorted(everything["age"]) == list(range(100))
    # The columns are those of the same rows.
    assert np.array_equal(train.encoded[:, 0], ((train["age"] - 40) / 20).astype(np.float32))
    assert np.array_equal(read_table(schema, "test", path).encoded, test.encoded)


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
    tmp_path: Path, schema: Schema, lines: list[str], expected: str
) -> None:
    path = csv(tmp_path, *lines)
    with pytest.raises(PackageError, match=expected) as error:
        read_table(schema, "train", path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00bad", b"PAR1 cut off"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, schema: Schema, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"site{suffix}"
    path.write_bytes(content)
    with pytest.raises(PackageError) as error:
        read_table(schema, "train", path)
    assert "\n" not in str(error.value)


def test_a_missing_file_an_empty_folder_and_another_kind_are_refused(
    tmp_path: Path, schema: Schema
) -> None:
    with pytest.raises(PackageError, match="expected a data file"):
        read_table(schema, "train", tmp_path / "nowhere.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackageError, match=r"expected one \.csv or \.parquet file in it, found 0"):
        read_table(schema, "train", tmp_path / "empty")
    (tmp_path / "table.xlsx").write_bytes(b"")
    with pytest.raises(PackageError, match=r"expected a \.csv or \.parquet file, found '\.xlsx'"):
        read_table(schema, "train", tmp_path / "table.xlsx")
