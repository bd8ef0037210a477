"""Files that are either whole or not there, and JSON that every reader accepts."""

import os
from pathlib import Path

import pytest

from fednsite.errors import PackageError
from fednsite.files import (
    atomic_write,
    dump_json,
    read_json_object,
    sidecar,
    stderr_discarded,
    write_atomically,
)


def test_a_number_that_strict_json_does_not_know_becomes_null() -> None:
    value = {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": -float("inf")}}
    expected = '{"a": null, "b": [null, 1.5], "c": {"d": null}}'
    assert "".join(dump_json(value).decode().split()) == expected.replace(" ", "")


def test_a_json_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    value = {"name": "Ærø \U0001f40e", "numbers": [1, 2.5, None], "more": {"true": True}}
    write_atomically(tmp_path / "file.json", dump_json(value))
    assert read_json_object(tmp_path / "file.json") == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no JSON", "expected JSON, found none: Expecting value: line 1 column 1 (char 0)"),
        ("[1]", "expected a JSON object, found list"),
        ('{"a": NaN}', "expected JSON, found none: NaN is not a finite number"),
        ('{"a": 1e999}', "expected JSON, found none: 1e999 is not a finite number"),
        ('{"a": 1, "a": 2}', "expected JSON, found none: a key appears twice"),
        (" " * (1 << 20) + "{}", "expected JSON of up to 1,048,576 bytes, found 1,048,578"),
    ],
)
def test_what_is_no_strict_json_object_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "model-metadata"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PackageError) as error:
        read_json_object(path)
    assert str(error.value) == f"{path}: {expected}"


def test_a_file_appears_when_the_block_ends_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_write(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"


def test_a_block_that_fails_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"half of it")
        raise KeyboardInterrupt
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"before"


def test_the_metadata_of_a_model_are_beside_it() -> None:
    assert sidecar(Path("folder/model.npz")) == Path("folder/model.npz-metadata")


def test_what_is_printed_below_python_is_discarded_and_stderr_comes_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with stderr_discarded():
        os.write(2, b"a page of a panic\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
