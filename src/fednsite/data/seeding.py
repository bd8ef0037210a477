"""The seed of one training step."""

import zlib
from collections.abc import Iterable

import numpy as np

from .examples import Array

__all__ = ["training_seed"]


def training_seed(seed: int, *arrays: Iterable[Array]) -> int:
    """Derive the seed of one training step from the session's seed and what the step starts with.

    FEDn tells an entry point neither its client nor its round. The received weights differ from
    round to round and the data from site to site, so together they give every step randomness of
    its own, and the same step the same again.

    Returns:
        A CRC-32, from 0 to 2**32 - 1.
    """
    checksum = zlib.crc32(str(seed).encode())
    for group in arrays:
        for array in group:
            content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            checksum = zlib.crc32(content, checksum)
    return checksum
