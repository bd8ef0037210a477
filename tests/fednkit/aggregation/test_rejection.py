"""What an update must be before it counts: readable, finite, of the model's form."""

import io
import zipfile

import numpy as np
import pytest
from made_up_updates import model_file, same, weights

from fednkit.aggregation.robust import Weights
from fednkit.aggregation.updates import read_metadata, read_update, rejection


@pytest.mark.parametrize(
    ("update", "examples", "expected"),
    [
        (weights(np.nan), 5, "array 0 holds NaN or infinite values"),
        (weights(np.inf), 5, "array 0 holds NaN or infinite values"),
        (weights(-2e30), 5, "array 0 holds values beyond 1e+30"),
        (weights(1)[:1], 5, "expected 2 arrays, found 1"),
        ([weights(1)[0].T, weights(1)[1]], 5, "array 0: expected float32[4, 3], found float32[3"),
        ([a.astype(np.float64) for a in weights(1)], 5, "array 0: expected float32[4, 3], found f"),
        (weights(1), 0, "num_examples: expected 1 to 10000000000, found 0"),
        (weights(1), True, "num_examples: expected 1 to 10000000000, found True"),
        (weights(1), 2.5, "num_examples: expected 1 to 10000000000, found 2.5"),
        (weights(1), 10**11, "num_examples: expected 1 to 10000000000, found 1000"),
        (weights(1), None, "num_examples: expected 1 to 10000000000, found None"),
    ],
)
def test_an_update_that_would_spoil_an_average_is_refused(
    update: Weights, examples: object, expected: str
) -> None:
    assert rejection(weights(1), {"num_examples": 5}, weights(0)) is None
    found = rejection(update, {"num_examples": examples}, weights(0))
    assert found is not None
    assert found.startswith(expected)


def test_after_fedopt_the_model_is_float64_and_updates_to_it_are_not() -> None:
    wide = [array.astype(np.float64) for array in weights(0)]
    assert rejection(weights(1), {"num_examples": 5}, wide) is None


def test_bytes_that_are_no_update_are_refused_before_they_are_unpacked() -> None:
    assert same(read_update(model_file(weights(2)), weights(0)), weights(2))
    with pytest.raises(ValueError, match="found: File is not a zip file"):
        read_update(b"no model", weights(0))
    with pytest.raises(ValueError, match="expected arrays under the keys 0 to 1"):
        buffer = io.BytesIO()
        np.savez(buffer, weights=np.zeros(3))
        read_update(buffer.getvalue(), weights(0))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_update(model_file([np.array([{}, {}])]), weights(0))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.npy", bytes(5_000_000))
    with pytest.raises(ValueError, match=r"expected at most \d+ bytes of weights, found 5000000"):
        read_update(bomb.getvalue(), weights(0))
    for packing, found in (
        (zipfile.ZIP_STORED, "a member that is not an array"),
        (zipfile.ZIP_BZIP2, "compressed by another method than numpy's"),
    ):
        odd = io.BytesIO()
        with zipfile.ZipFile(odd, "w", packing) as archive:
            archive.writestr("0.npy", b"no array")
        with pytest.raises(ValueError, match=found):
            read_update(odd.getvalue(), weights(0))


@pytest.mark.parametrize(
    "message", ["", "[]", "{}", '{"training_metadata": []}', "[" * 10**5, " " * 2**21]
)
def test_a_message_without_metadata_is_the_sites_own_fault(message: str) -> None:
    assert read_metadata('{"training_metadata": {"num_examples": 5}}') == {"num_examples": 5}
    with pytest.raises(ValueError, match="expected training_metadata"):
        read_metadata(message)
