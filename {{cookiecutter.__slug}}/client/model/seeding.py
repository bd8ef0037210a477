"""The seed of one training step."""

import hashlib
from collections.abc import Iterable

import numpy as np

from .dataset import Array


def training_seed(seed: int, *arrays: Iterable[Array]) -> int:
    """Derive a seed from the settings' seed and from what the step starts with.

    FEDn hands an entry point no client or round id. The incoming weights differ from round to
    round and the data from site to site, so together they give every step its own randomness,
    and a repetition of the same step the same. Returns an int in [0, 2**32).
    """
    digest = hashlib.blake2b(str(seed).encode(), digest_size=4)
    for group in arrays:
        for array in group:
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return int.from_bytes(digest.digest(), "big")
