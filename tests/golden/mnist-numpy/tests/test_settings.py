"""Hyper-parameters: defaults, and what the server sends over them."""

from pathlib import Path
from typing import Any

import pytest

from model.errors import PackageError
from model.files import read_json_object
from model.settings import Settings


def test_nothing_sent_leaves_the_defaults() -> None:
    assert Settings.override({}) == Settings()


def test_what_is_sent_replaces_the_default() -> None:
    assert Settings.override({"epochs": 9, "learning_rate": 1}) == Settings(
        epochs=9, learning_rate=1.0
    )


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"epoch": 1}, "setting 'epoch' is unknown; expected one of epochs, batch_size"),
        ({"epochs": 1.5}, "setting 'epochs': expected int, found 1.5"),
        ({"epochs": True}, "setting 'epochs': expected int, found True"),
        ({"epochs": "1"}, "setting 'epochs': expected int, found '1'"),
        ({"epochs": 0}, "setting 'epochs': expected a number above 0, found 0"),
        ({"batch_size": -1}, "setting 'batch_size': expected a number above 0"),
        ({"learning_rate": None}, "setting 'learning_rate': expected float, found None"),
        ({"learning_rate": float("nan")}, "setting 'learning_rate': expected a number above 0"),
        ({"balance_classes": 1}, "setting 'balance_classes': expected bool, found 1"),
    ],
)
def test_an_unknown_or_ill_typed_setting_is_refused_by_name(
    sent: dict[str, Any], expected: str
) -> None:
    with pytest.raises(PackageError, match=expected):
        Settings.override(sent)


@pytest.mark.parametrize(
    "text",
    [
        '{"learning_rate": 1e999}',
        '{"learning_rate": NaN}',
        '{"learning_rate": ' + "9" * 400 + "}",
        '{"epochs": 1, "epochs": 2}',
        '{"x\\nerror: y": 1}',
        '{"epochs": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"epochs": "' + "x" * (1 << 20) + '"}',
        "[1]",
    ],
)
def test_what_is_sent_in_bad_faith_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model-metadata"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PackageError) as error:
        Settings.override(read_json_object(path))
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 2100
