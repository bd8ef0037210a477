"""What an update must be before it counts: readable, finite, of the model's form.

FEDn averages whatever comes: NaN spreads into everything, a shorter list is cut off in silence,
a wrong shape is broadcast. This file is also sent to FEDn's server functions, so it imports
NumPy and the standard library alone.
"""

import io
import json
import warnings
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Weights", "is_exhausted", "is_finite", "read_metadata", "read_update", "rejection"]

Weights = list[npt.NDArray[Any]]

# Bytes of an array's header in an npz, at the most.
MAX_HEADER_BYTES = 4096
# Characters of an update's metadata, of which there are a few hundred; and of a cause.
MAX_METADATA_CHARACTERS, MAX_CAUSE_CHARACTERS = 1 << 20, 500
# No weight of a model that still learns; sums of more would leave float32, and lose the round.
MAX_WEIGHT = 1e30
# More examples than any site has; beyond it, a number is a mistake or a way to outweigh all others.
MAX_EXAMPLES = 10**10


def read_update(content: bytes, like: Weights) -> Weights:
    """Return the arrays of an update in FEDn's layout, an npz with the keys "0", "1" and so on.

    like: the global model, which bounds what is unpacked: a small file may claim to hold much.
    Raises `ValueError` with the cause.
    """
    bound = sum(array.size * 8 + MAX_HEADER_BYTES for array in like)
    try:
        size = len(content)
        # A long list of members takes more than the file.
        if size <= bound:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                size = sum(member.file_size for member in archive.infolist())
                # Others unfold to any size before one can look.
                plain = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
                if any(member.compress_type not in plain for member in archive.infolist()):
                    raise ValueError("packed in another way than numpy packs")
        if size > bound:
            raise ValueError(f"expected at most {bound} bytes of weights, found {size}")
        with warnings.catch_warnings():
            # Of headers as Python 2 wrote them, which would go to the log.
            warnings.simplefilter("error")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                keys = [str(index) for index in range(len(arrays.files))]
                if sorted(arrays.files) != sorted(keys):
                    raise ValueError(f"expected arrays under the keys 0 to {len(like) - 1}")
                found = [arrays[key] for key in keys]
        # numpy hands out as bytes what is no array.
        if not all(isinstance(array, np.ndarray) for array in found):
            raise ValueError("a member that is no array")
        return found
    except Exception as error:
        # Whatever bytes a site sends, they are its own fault and must not end a round.
        cause = " ".join(str(error).split())[:MAX_CAUSE_CHARACTERS] or type(error).__name__
        raise ValueError(f"expected a model file (npz), found: {cause}") from None


def read_metadata(text: str) -> dict[str, Any]:
    """Return the training metadata in the message that FEDn hands an update over with, JSON.

    Raises `ValueError` with the cause.
    """
    try:
        found = (
            json.loads(text)["training_metadata"] if len(text) <= MAX_METADATA_CHARACTERS else None
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("expected training_metadata, an object in JSON, found none")
    return found


def rejection(weights: Weights, metadata: dict[str, Any], like: Weights) -> str | None:
    """Return why an update cannot be taken, or None when it can.

    weights: the update. metadata: what came with it; `num_examples` is how many examples it
    stands for. like: the global model that it started from, of the same shapes and dtypes; FEDn's
    fedopt makes float64 of a global model, and updates to it are still float32.
    """
    examples = metadata.get("num_examples")
    if type(examples) is not int or not 1 <= examples <= MAX_EXAMPLES:
        plain = isinstance(examples, str | int | float | None)
        words = str(examples)[:40] if plain else type(examples).__name__
        return f"num_examples: expected 1 to {MAX_EXAMPLES}, found {words}"
    if len(weights) != len(like):
        return f"expected {len(like)} arrays, found {len(weights)}"
    for index, (array, expected) in enumerate(zip(weights, like, strict=True)):
        narrower = expected.dtype == np.float64 and array.dtype == np.float32
        if array.shape != expected.shape or not (array.dtype == expected.dtype or narrower):
            return (
                f"array {index}: expected {expected.dtype}{list(expected.shape)}, "
                f"found {array.dtype}{list(array.shape)}"
            )[:MAX_CAUSE_CHARACTERS]
        if not np.isfinite(array).all():
            return f"array {index} holds NaN or infinite values"
        if (np.abs(array) > MAX_WEIGHT).any():
            return f"array {index} holds values beyond {MAX_WEIGHT:g}"
    return None


def is_finite(weights: Weights) -> bool:
    """Tell whether a model can be trained any further: finite updates may sum up to more."""
    return all(bool(np.isfinite(array).all()) for array in weights)


def is_exhausted(metadata: dict[str, Any]) -> bool:
    """Tell whether a site's privacy budget is spent: its update is a copy of what it received."""
    privacy = metadata.get("privacy")
    return isinstance(privacy, dict) and privacy.get("exhausted") is True
