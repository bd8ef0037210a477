"""The kinds of data: each task has one, with the functions that the commands call."""

import inspect
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from baking import TASKS
from library import HEADER, write_package, write_project

from fednkit.data.kinds import MODULES, Kind, kind
from fednkit.project.errors import ProjectError

FUNCTIONS = {
    name: len(inspect.signature(function).parameters) - 1
    for name, function in vars(Kind).items()
    if inspect.isfunction(function) and not name.startswith("_")
}


def test_every_task_of_the_template_has_its_kind() -> None:
    assert sorted(MODULES) == sorted(TASKS)
    assert sorted(FUNCTIONS) == ["column", "draft", "labels", "make", "read", "write"]


@pytest.mark.parametrize("task", TASKS)
def test_a_kind_has_every_function_with_as_many_parameters(task: str) -> None:
    module = import_module(f"fednkit.data.{MODULES[task]}")
    for name, parameters in FUNCTIONS.items():
        assert len(inspect.signature(getattr(module, name)).parameters) == parameters, name


@pytest.mark.parametrize(
    ("task", "refusal"),
    [
        ("fraud", f"--column: expected one of {HEADER.replace(',', ', ')}, found 'ward'"),
        ("mnist", "--column: images have no column 'ward'; choose another --partition"),
    ],
)
def test_sample_data_is_the_same_for_a_seed_and_comes_back_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, refusal: str
) -> None:
    root = write_project(tmp_path / "project", task=task)
    write_package(root / "client")
    monkeypatch.chdir(root)
    source = kind()
    sample = source.make(1000, 1)
    labels = source.labels(sample)
    assert labels.dtype == np.int64
    assert labels.shape == (1000,)
    assert np.array_equal(source.labels(source.make(1000, 1)), labels)
    assert not np.array_equal(source.labels(source.make(1000, 2)), labels)
    file = tmp_path / source.FILE_NAME
    source.write(sample, np.arange(1000), file)
    assert np.array_equal(source.labels(source.read(file)), labels)
    with pytest.raises(ProjectError) as error:
        source.column(sample, "ward")
    assert str(error.value) == refusal


def test_a_task_without_a_kind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_project(tmp_path / "project", task="sounds")
    monkeypatch.chdir(root)
    with pytest.raises(ProjectError) as error:
        kind()
    expected = f"{root / 'pyproject.toml'}: task: expected one of fraud, mnist, found 'sounds'"
    assert str(error.value) == expected
