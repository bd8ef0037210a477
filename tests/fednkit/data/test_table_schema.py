"""The schema that is drafted from a table: its words, and that the table keeps it."""

from pathlib import Path

import pytest

from fednkit.data import schema, tables
from fednkit.samples import transactions
from fednsite.data.schema import Schema
from fednsite.data.table import read_table
from fednsite.errors import PackageError

TABLE = """\
age,dose,smoker,ward,ill
63,2.5,True,b,yes
41,0,false,a,no
12,-1e-3,true,c,no
"""


def table(folder: Path, text: str = TABLE) -> Path:
    path = folder / "patients.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_column_gets_its_type_limits_and_scale(tmp_path: Path) -> None:
    assert tables.draft(table(tmp_path), "ill") == {
        "fields": [
            {
                "name": "age",
                "type": "integer",
                "constraints": {"minimum": 0, "maximum": 89},
                "scale": {"center": 38.7, "spread": 20.9},
            },
            {
                "name": "dose",
                "type": "number",
                "constraints": {"minimum": -2.0, "maximum": 4.0},
                "scale": {"center": 0.833, "spread": 1.18},
            },
            {"name": "smoker", "type": "boolean"},
            {"name": "ward", "type": "string", "constraints": {"enum": ["a", "b", "c"]}},
            {"name": "ill", "type": "string", "constraints": {"enum": ["no", "yes"]}},
        ],
        "label": "ill",
    }


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("1 1 0 1", {"type": "integer", "constraints": {"enum": [1, 0]}}),
        ("3 20 3 1", {"type": "integer", "constraints": {"enum": [3, 1, 20]}}),
        ("0.0 0.0 1.0 1.0", {"type": "string", "constraints": {"enum": ["0.0", "1.0"]}}),
        ("007 7 7 7", {"type": "string", "constraints": {"enum": ["7", "007"]}}),
        ("ill well well ill", {"type": "string", "constraints": {"enum": ["ill", "well"]}}),
    ],
)
def test_the_most_frequent_class_is_the_ordinary_one_and_values_are_what_the_file_holds(
    tmp_path: Path, labels: str, expected: dict[str, object]
) -> None:
    rows = [f"{number},{label}" for number, label in enumerate(labels.split())]
    path = table(tmp_path, "\n".join(["x,y", *rows]) + "\n")
    draft = tables.draft(path, "y")
    assert draft["fields"][-1] == {"name": "y", **expected}
    check(tmp_path, path, draft)


def test_the_samples_own_table_keeps_its_draft(tmp_path: Path) -> None:
    everything = transactions.make(2_000, seed=1)
    path = tmp_path / "sample.csv"
    everything.write_csv(path)
    check(tmp_path, path, tables.draft(path, "fraud"))
    parquet = tmp_path / "sample.parquet"
    everything.write_parquet(parquet)
    assert tables.draft(parquet, "fraud") == tables.draft(path, "fraud")


def check(folder: Path, path: Path, draft: dict[str, object]) -> None:
    """Read the table as the package does, under the draft."""
    file = folder / "schema.json"
    file.write_text(schema.layout(draft), encoding="utf-8")
    rows = len(path.read_text("utf-8").splitlines()) - 1
    assert len(read_table(Schema.read(file), "all", path)) == rows


@pytest.mark.parametrize(
    ("text", "label", "cause"),
    [
        (TABLE, None, "--label: expected one of age, dose, smoker, ward, ill, found none"),
        (TABLE, "sick", "--label: expected one of age, dose, smoker, ward, ill, found 'sick'"),
        ("a,b\n", "b", "expected rows, found none below the header"),
        ("a,b\n1,0\n,1\n", "b", "column 'a', row 2: expected a value, found an empty cell"),
        ("a,b\n1,0\n2,0\n", "b", "column 'b': expected two classes or more, found only 0"),
        (
            "a,b\n" + "".join(f"name {n},{n % 2}\n" for n in range(60)),
            "b",
            "column 'a': expected a number, true and false, or a choice, found 60 different texts",
        ),
        (
            "a,b\n" + "".join(f"1,{n}\n" for n in range(60)),
            "b",
            "column 'b': expected the classes to tell apart, found 60 different texts",
        ),
    ],
)
def test_what_no_model_can_use_is_named(
    tmp_path: Path, text: str, label: str | None, cause: str
) -> None:
    with pytest.raises(PackageError) as mistake:
        tables.draft(table(tmp_path, text), label)
    assert cause in str(mistake.value)
