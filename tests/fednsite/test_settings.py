"""Hyper-parameters: defaults, and what the server sends over them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fednsite.errors import PackageError
from fednsite.files import read_json_object
from fednsite.settings import MAX_NUMBER, BaseSettings


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Those of the template's model library, with one more of each kind."""

    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 0.003
    balance_classes: bool = True
    weight_decay: float = 0.0
    schedule: str = "constant"


@dataclass(frozen=True)
class Repeated(BaseSettings):
    """A default of the library's that an owner has changed, and one below 0."""

    noise: float = 1.0
    temperature: float = -2.0


def test_a_site_may_be_asked_for_no_noise_where_the_default_asks_for_some() -> None:
    assert Repeated.override({"noise": 0}).noise == 0
    with pytest.raises(PackageError, match="setting 'noise': expected 0 or more, found -1"):
        Repeated.override({"noise": -1})


def test_a_whole_number_for_a_float_keeps_its_value() -> None:
    assert Repeated.override({"temperature": -5}).temperature == -5
    assert Settings.override({"budget": 10**12}).budget == 1e12


def test_nothing_sent_leaves_the_defaults() -> None:
    assert Settings.override({}) == Settings()


def test_what_is_sent_replaces_the_default() -> None:
    assert Settings.override({"epochs": 9, "learning_rate": 1}) == Settings(
        epochs=9, learning_rate=1.0
    )
    assert type(Settings.override({"learning_rate": 1}).learning_rate) is float
    assert Settings.override({"schedule": "cosine"}) == Settings(schedule="cosine")


@pytest.mark.parametrize("seed", [0, -1, MAX_NUMBER + 1, 10**30])
def test_the_seed_may_be_any_whole_number(seed: int) -> None:
    assert Settings.override({"seed": seed}).seed == seed


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            {"epoch": 1},
            "setting 'epoch' is unknown; expected one of seed, noise, clip, budget, delta, epochs, "
            "batch_size, learning_rate, balance_classes, weight_decay, schedule",
        ),
        ({"epochs": 1.5}, "setting 'epochs': expected int, found 1.5"),
        ({"epochs": True}, "setting 'epochs': expected int, found True"),
        ({"epochs": "1"}, "setting 'epochs': expected int, found '1'"),
        ({"epochs": [1]}, "setting 'epochs': expected int, found list"),
        ({"epochs": 0}, "setting 'epochs': expected a number above 0, found 0"),
        ({"epochs": 2**31}, "setting 'epochs': expected a number up to 2,147,483,647"),
        ({"batch_size": -1}, "setting 'batch_size': expected a number above 0, found -1"),
        ({"learning_rate": None}, "setting 'learning_rate': expected float, found None"),
        (
            {"learning_rate": float("nan")},
            "setting 'learning_rate': expected a number above 0, found nan",
        ),
        (
            {"learning_rate": float("inf")},
            "setting 'learning_rate': expected a number up to 2,147,483,647",
        ),
        ({"learning_rate": 10**400}, "setting 'learning_rate': expected a number up to 2,147,"),
        ({"balance_classes": 1}, "setting 'balance_classes': expected bool, found 1"),
        ({"weight_decay": -0.1}, "setting 'weight_decay': expected 0 or more, found -0.1"),
        ({"schedule": 3}, "setting 'schedule': expected str, found 3"),
    ],
)
def test_an_unknown_or_ill_typed_setting_is_refused_by_name(
    sent: dict[str, Any], expected: str
) -> None:
    with pytest.raises(PackageError) as error:
        Settings.override(sent)
    assert str(error.value).startswith(expected)


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
    assert len(str(error.value)) < 4100
