"""Model files: FEDn's layout, read strictly and written whole or not at all."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fednsite import weights
from fednsite.errors import PackageError
from fednsite.files import atomic_write

LIKE = [np.zeros((2, 3), dtype=np.float32), np.zeros(3, dtype=np.float32)]
GOOD = [np.full((2, 3), 0.5, dtype=np.float32), np.arange(3, dtype=np.float32)]


def write(path: Path, arrays: dict[str, object]) -> Path:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return path


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model_without_suffix"
    with atomic_write(path) as file:
        weights.save(file, GOOD, like=LIKE)
    assert [path.name for path in tmp_path.iterdir()] == ["model_without_suffix"]
    assert all(map(np.array_equal, weights.load(path, like=LIKE), GOOD))


def test_the_float64_of_fedopt_becomes_what_the_model_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "m", {"0": GOOD[0].astype(np.float64), "1": GOOD[1].astype(float)})
    loaded = weights.load(path, like=LIKE)
    assert [array.dtype for array in loaded] == [np.float32, np.float32]
    assert all(map(np.array_equal, loaded, GOOD))


def test_arrays_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    many = [np.full(1, index, dtype=np.float32) for index in range(12)]
    path = write(tmp_path / "m", {str(index): many[index] for index in reversed(range(12))})
    assert all(map(np.array_equal, weights.load(path, like=many), many))


def wrap(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as outer:
        outer.writestr("metadata.json", "{}")
        outer.writestr("training_model.bin", content)
    return path


def test_a_model_is_also_taken_in_the_wrapping_of_fedns_successor(tmp_path: Path) -> None:
    bare = write(tmp_path / "bare", {"0": GOOD[0], "1": GOOD[1]})
    wrapped = wrap(tmp_path / "wrapped", bare.read_bytes())
    assert all(map(np.array_equal, weights.load(wrapped, like=LIKE), GOOD))


def test_a_wrapping_without_a_model_in_it_is_refused(tmp_path: Path) -> None:
    path = wrap(tmp_path / "wrapped", b"no archive")
    with pytest.raises(PackageError, match="expected a model file"):
        weights.load(path, like=LIKE)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"0": GOOD[0]}, "expected 2 arrays, found 1"),
        ({"0": GOOD[0], "1": GOOD[1], "2": GOOD[1]}, "expected 2 arrays, found 3"),
        ({"0": GOOD[0], "b": GOOD[1]}, "expected arrays under the keys 0 to 1, found 0, b"),
        ({"0": GOOD[0].T, "1": GOOD[1]}, r"array 0: expected float32\[2, 3\], found float32\[3, 2"),
        ({"0": GOOD[0], "1": GOOD[1].astype(np.int32)}, "array 1: expected float32"),
        ({"0": GOOD[0], "1": GOOD[1] + np.float64(1e300)}, "array 1 holds NaN or infinite"),
        ({"0": GOOD[0], "1": GOOD[1] * np.float32(np.nan)}, "array 1 holds NaN"),
        ({"0": GOOD[0], "1": GOOD[1] + np.float32(np.inf)}, "array 1 holds NaN or infinite"),
        ({"0": GOOD[0], "1": np.array([{}], dtype=object)}, "expected a model file"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    tmp_path: Path, arrays: dict[str, object], expected: str
) -> None:
    path = write(tmp_path / "model", arrays)
    with pytest.raises(PackageError, match=expected) as error:
        weights.load(path, like=LIKE)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(PackageError, match="expected a model file"):
        weights.load(path, like=LIKE)


def test_a_model_cut_short_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model", {"0": GOOD[0], "1": GOOD[1]})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(PackageError, match="expected a model file"):
        weights.load(path, like=LIKE)


def test_a_bare_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npy"
    np.save(path, GOOD[0])
    with pytest.raises(PackageError, match="not a zip file"):
        weights.load(path, like=LIKE)


def test_nothing_is_left_behind_when_the_trained_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"the model before")
    with pytest.raises(PackageError, match="the trained model"), atomic_write(path) as file:
        weights.save(file, [GOOD[0], GOOD[1] * np.float32(np.nan)], like=LIKE)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert path.read_bytes() == b"the model before"


def patched(folder: Path, old: bytes, new: bytes) -> Path:
    """A good model file in which some bytes of its arrays are others."""
    path = folder / "model"
    with zipfile.ZipFile(path, "w") as archive:
        for index, array in enumerate(GOOD):
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{index}.npy", buffer.getvalue().replace(old, new))
    return path


def test_a_header_that_claims_4_gb_is_refused_before_they_are_reserved(tmp_path: Path) -> None:
    path = patched(tmp_path, b"(2, 3), }         ", b"(2, 3000000000), }")
    with pytest.raises(
        PackageError, match=r"array 0: expected float32\[2, 3\], found float32\[2, 3"
    ):
        weights.load(path, like=LIKE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\x93NUMPY\x01", b"\x93NUMPY\x02"),  # a header that may have 4 GB
        (b"{'descr'", b"[[descr'"),
        (b"1.npy", b"0.npy"),
        (b"0.npy", b"\n.npy"),
        # The flag of a member that is encrypted, in the list of members.
        (b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"),
    ],
)
def test_odd_members_are_refused_in_one_line(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = patched(tmp_path, old, new)
    content = path.read_bytes()
    path.write_bytes(content.replace(old, new))
    assert old not in path.read_bytes()
    with pytest.raises(PackageError) as error:
        weights.load(path, like=LIKE)
    assert str(error.value).isprintable()


def test_a_file_much_larger_than_the_model_is_not_even_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "model", {"0": GOOD[0], "1": GOOD[1]})
    with path.open("ab") as file:
        file.truncate(4 << 20)
    with pytest.raises(PackageError, match="expected a model file of up to"):
        weights.load(path, like=LIKE)


def test_an_array_in_the_other_order_is_the_same_array(tmp_path: Path) -> None:
    path = write(tmp_path / "model", {"0": np.asfortranarray(GOOD[0]), "1": GOOD[1]})
    assert all(map(np.array_equal, weights.load(path, like=LIKE), GOOD))
