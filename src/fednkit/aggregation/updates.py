"""Validate updates: they must be readable, finite, and match the global model.

FEDn averages all updates without checks: NaN spreads, missing arrays are silently dropped, wrong
shapes are broadcast. This file is also sent to FEDn's server functions, so it imports only NumPy
and the standard library.
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

# For each array of an npz.
MAX_HEADER_BYTES = 4096
# An update's metadata usually has a few hundred characters.
MAX_METADATA_CHARACTERS, MAX_CAUSE_CHARACTERS = 1 << 20, 500
# Larger weights cannot come from a useful model, and their sum could overflow float32.
MAX_WEIGHT = 1e30
# No site has more examples. A larger number is a mistake, or an attempt to outweigh all others.
MAX_EXAMPLES = 10**10


def read_update(content: bytes, like: Weights) -> Weights:
    """Return the arrays of an update in FEDn's layout, an npz with the keys "0", "1" and so on.

    Args:
        content: The file's bytes.
        like: The global model. It limits the unpacked size, because a small file can unpack to a
            huge one.

    Raises:
        ValueError: The update cannot be read; the message has the cause.
    """
    bound = sum(array.size * 8 + MAX_HEADER_BYTES for array in like)
    try:
        size = len(content)
        # zipfile needs more memory than the file for a long list of members.
        if size <= bound:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                size = sum(member.file_size for member in archive.infolist())
                # Other methods can unpack to any size before the size is known.
                plain = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
                if any(member.compress_type not in plain for member in archive.infolist()):
                    raise ValueError("compressed by another method than numpy's")
        if size > bound:
            raise ValueError(f"expected at most {bound} bytes of weights, found {size}")
        with warnings.catch_warnings():
            # numpy warns about headers from Python 2, which would fill the log.
            warnings.simplefilter("error")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                keys = [str(index) for index in range(len(arrays.files))]
                if sorted(arrays.files) != sorted(keys):
                    raise ValueError(f"expected arrays under the keys 0 to {len(like) - 1}")
                found = [arrays[key] for key in keys]
        # numpy returns members that are not arrays as bytes.
        if not all(isinstance(array, np.ndarray) for array in found):
            raise ValueError("a member that is not an array")
        return found
    except Exception as error:
        # No bytes from a site may stop a round.
        cause = " ".join(str(error).split())[:MAX_CAUSE_CHARACTERS] or type(error).__name__
        raise ValueError(f"expected a model file (npz), found: {cause}") from None


def read_metadata(text: str) -> dict[str, Any]:
    """Return the training metadata in FEDn's JSON message about an update.

    Raises:
        ValueError: The text has no training metadata.
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
    """Return the cause to reject an update, or None if it is valid.

    Args:
        weights: The update.
        metadata: Its metadata; `num_examples` is the number of examples that it was trained on.
        like: The global model that it started from. Shapes and dtypes must match, but FEDn's
            fedopt returns a float64 model, and float32 updates of it are valid.
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
    """Return whether all weights are finite; finite updates may sum to an infinite model."""
    return all(bool(np.isfinite(array).all()) for array in weights)


def is_exhausted(metadata: dict[str, Any]) -> bool:
    """Return whether a site's privacy budget is spent, so that its update is the received model."""
    privacy = metadata.get("privacy")
    return isinstance(privacy, dict) and privacy.get("exhausted") is True
