"""The seed of one training step."""

import zlib
from collections.abc import Iterable

import numpy as np

from .examples import Array

__all__ = ["training_seed"]


def training_seed(seed: int, *arrays: Iterable[Array]) -> int:
    """Derive the seed of one training step from the session's seed, the weights and the data.

    FEDn passes neither the client nor the round to an entry point. The received weights differ
    between rounds and the data between sites, so each step gets its own seed, and a repeated step
    gets the same one.

    Args:
        seed: The session's seed.
        arrays: Groups of arrays: the received weights and the site's data.

    Returns:
        A CRC-32, from 0 to 2**32 - 1.
    """
    checksum = zlib.crc32(str(seed).encode())
    for group in arrays:
        for array in group:
            content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            checksum = zlib.crc32(content, checksum)
    return checksum
