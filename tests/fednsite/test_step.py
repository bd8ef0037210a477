"""What an entry point may be: how it is called, by which library, and what its update must be."""

import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest

import fednsite
from fednsite.data.examples import Array, Examples
from fednsite.errors import PackageError
from fednsite.execution import train_update
from fednsite.step import USAGE, Step, main

RECEIVED = [np.zeros((2, 3), np.float32), np.zeros(3, np.float32)]


def entry_point(folder: Path, name: str) -> Callable[[Step], Any]:
    """Return a function that is defined in a file of this folder."""
    file = folder / f"{name}.py"
    file.write_text(f"def {name}(step):\n    raise AssertionError('called')\n")
    function: Callable[[Step], Any] = run_path(str(file))[name]
    return function


@pytest.mark.parametrize("name", ["train", "validate", "predict"])
@pytest.mark.parametrize("arguments", [[], ["in"], ["in", "out", "more"]])
def test_wrong_usage_says_what_is_right(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    arguments: list[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        main(entry_point(tmp_path, name))
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"usage: {USAGE[name]}\n"
    assert USAGE[name].startswith(f"python {name}.py MODEL_IN ")


def test_a_function_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(entry_point(tmp_path, "fit"))
    expected = "error: expected a function train, validate, predict, found 'fit'"
    assert ended.value.code == expected


def test_another_library_than_the_packages_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "in", "out"])
    (tmp_path / "fednsite").mkdir()
    used = Path(str(fednsite.__file__)).parent
    # A decorator makes a function of another file of it.
    with pytest.raises(SystemExit) as ended:
        main(wraps(entry_point(tmp_path, "train"))(lambda step: 1))
    assert ended.value.code == (
        f"error: {used}: expected the library of the package, {tmp_path / 'fednsite'}; "
        "unset PYTHONSAFEPATH and PYTHONPATH"
    )


@pytest.mark.parametrize("linked", [True, False])
def test_the_packages_own_library_runs_and_so_does_an_installed_one_where_there_is_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    linked: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "in", "out"])
    if linked:
        (tmp_path / "fednsite").symlink_to(Path(str(fednsite.__file__)).parent)
    # The step begins: the settings that the server sent are read first.
    (tmp_path / "in-metadata").write_text("no JSON")
    with pytest.raises(SystemExit) as ended:
        main(entry_point(tmp_path, "train"))
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: in-metadata: expected JSON, found none: ")
    assert {path.name for path in tmp_path.iterdir()} - {"fednsite"} == {"in-metadata", "train.py"}


def test_importing_it_imports_next_to_nothing() -> None:
    # All that a process loads which hands its step over to the resident worker.
    code = (
        "import sys; before = set(sys.modules)\n"
        "import fednsite.step\n"
        "print(*set(sys.modules) - before)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    own = {
        "fednsite",
        "fednsite._step",
        "fednsite.step",
        "fednsite.worker",
        "fednsite.worker.handover",
    }
    assert set(printed.split()) == own


class Model:
    """A classifier whose training is over."""

    def __init__(self, trained: list[Array]) -> None:
        self.trained = trained

    def get_weights(self) -> list[Array]:
        return self.trained

    def set_weights(self, weights: list[Array]) -> None:
        raise AssertionError

    def fit(self, examples: Examples, settings: Any, seed: int) -> None:
        raise AssertionError

    def predict(self, features: Array) -> Array:
        raise AssertionError


def update(trained: list[Array], count: Any) -> tuple[list[Array], int]:
    def no_examples(_: object) -> Examples:
        raise AssertionError

    return train_update(lambda _: count, Step(Model(trained), RECEIVED, None, no_examples))


def test_an_update_is_the_trained_weights_and_the_count_that_train_returned() -> None:
    trained = [array + np.float32(1) for array in RECEIVED]
    found, examples = update(trained, 7)
    assert all(map(np.array_equal, found, trained))
    assert examples == 7


@pytest.mark.parametrize("count", [0, -1, True, 2.0, None, "7", np.int64(7), [7]])
def test_a_count_that_is_no_whole_number_of_examples_is_refused(count: object) -> None:
    with pytest.raises(PackageError) as error:
        update(RECEIVED, count)
    assert str(error.value) == f"train: expected a number of examples, 1 or more, found {count!r}"


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        ([RECEIVED[0], RECEIVED[1] + np.float32(np.nan)], "array 1 holds NaN or infinite values"),
        ([RECEIVED[0] + np.float32(np.inf), RECEIVED[1]], "array 0 holds NaN or infinite values"),
        (RECEIVED[:1], "expected 2 arrays, found 1"),
        ([*RECEIVED, RECEIVED[1]], "expected 2 arrays, found 3"),
        (
            [RECEIVED[0].T, RECEIVED[1]],
            "array 0: expected float32[2, 3], found float32[3, 2]; was it made for another model?",
        ),
        (
            [RECEIVED[0], RECEIVED[1].astype(np.float64)],
            "array 1: expected float32[3], found float64[3]; was it made for another model?",
        ),
    ],
)
def test_a_trained_model_that_does_not_fit_is_refused(trained: list[Array], expected: str) -> None:
    with pytest.raises(PackageError) as error:
        update(trained, 1)
    found = str(error.value).removeprefix("the trained model: ")
    assert found == expected
