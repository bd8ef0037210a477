"""The seed of one training step."""

import zlib
from collections.abc import Iterable

import numpy as np

from .dataset import Array


def training_seed(seed: int, *arrays: Iterable[Array]) -> int:
    """Derive a seed from the settings' seed and from what the step starts with.

    FEDn hands an entry point no client or round id. The incoming weights differ from round to
    round and the data from site to site, so together they give every step its own randomness,
    and a repetition of the same step the same. Returns an int in [0, 2**32): a CRC-32.
    """
    checksum = zlib.crc32(str(seed).encode())
    for group in arrays:
        for array in group:
            plain = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            checksum = zlib.crc32(plain, checksum)
    return checksum
