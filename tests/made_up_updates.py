"""Updates of a round, made up for tests of how they are combined."""

import io
from typing import Any

import numpy as np

from fednkit.aggregation.robust import Weights

SHAPES = ((4, 3), (3,))
HONEST, BAD = 8, 3


def weights(value: float) -> Weights:
    """Return a model in which every number is this one."""
    return [np.full(shape, value, dtype=np.float32) for shape in SHAPES]


def honest(number: int = HONEST) -> list[Weights]:
    """Return updates around 1."""
    random = np.random.default_rng(0)
    return [
        [random.normal(1, 0.1, shape).astype(np.float32) for shape in SHAPES] for _ in range(number)
    ]


def defence(aggregator: str, norm_bound: float | None = None, tolerate: float = BAD) -> Any:
    """Return the settings of a defence."""
    return {"aggregator": aggregator, "norm_bound": norm_bound, "tolerate": tolerate}


def forbidden(_: object) -> Weights:
    """Stand in for the average where it must not be used."""
    raise AssertionError("with a defence, nothing else combines")


def same(one: Weights, other: Weights) -> bool:
    """Tell whether two models have the same dtypes and numbers."""
    return [a.dtype for a in one] == [b.dtype for b in other] and all(
        map(np.array_equal, one, other)
    )


def model_file(arrays: Weights) -> bytes:
    """Return a model as a file in FEDn's layout."""
    buffer = io.BytesIO()
    named: dict[str, Any] = {str(index): array for index, array in enumerate(arrays)}
    np.savez(buffer, **named)
    return buffer.getvalue()
