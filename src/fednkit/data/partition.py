"""Ways to spread examples over sites. Each returns one array of row numbers per site."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..project.errors import ProjectError

__all__ = ["Method", "Rows", "by_value", "dirichlet", "iid", "quantity", "shards", "spread"]

Rows = npt.NDArray[np.int64]
Random = np.random.Generator

Method = Literal["iid", "dirichlet", "shards", "quantity", "column"]
# What a class at a site has at the least, to learn from one and hold one out.
FEWEST_PER_CLASS = 2
# What a site has at the least where a draw leaves it less, as far as there is enough for all.
FEWEST = 10
TRIES = 1000


def spread(
    method: Method,
    labels: Rows,
    sites: int,
    alpha: float,
    column: npt.NDArray[Any] | None,
    random: Random,
    classes: int = 2,
) -> list[Rows]:
    """Spread rows over sites by one method.

    labels: int64, shape (rows,), the class of each row. alpha: of dirichlet and quantity.
    column: shape (rows,), what `column` goes by. classes: how many each site needs, two (the
    package refuses a file with a single one) or just one, which a simulation can do with.
    Raises `ProjectError` when a site would be left without `FEWEST_PER_CLASS` examples of each.
    """
    if column is not None and len(np.unique(column)) != sites:
        raise ProjectError(
            f"expected {len(np.unique(column))} sites, one for each value of the column, "
            f"found {sites}"
        )
    draws: dict[str, Callable[[], list[Rows]]] = {
        "iid": lambda: iid(labels, sites, random),
        "dirichlet": lambda: dirichlet(labels, sites, alpha, random),
        "shards": lambda: shards(labels, sites, random),
        "quantity": lambda: quantity(labels, sites, alpha, random),
        "column": lambda: by_value(np.zeros(0) if column is None else column),
    }
    # What a network would take comes first, but a simulation does not look for it for long.
    for wanted, tries in ((2, TRIES),) if classes == 2 else ((2, TRIES // 10), (classes, TRIES)):
        for _ in range(1 if method in ("iid", "column") else tries):
            parts = draws[method]()
            if all(_classes(labels[rows]) >= wanted for rows in parts):
                return parts
    needed = f"{FEWEST_PER_CLASS} examples of {'two classes' if classes == 2 else 'a class'}"
    raise ProjectError(
        f"no way found to give each of {sites} sites {needed} by '{method}'; "
        "take fewer sites, more examples, a larger --alpha or another --partition"
    )


def iid(labels: Rows, sites: int, random: Random) -> list[Rows]:
    """Deal the rows of every class out evenly."""
    dealt: list[list[Rows]] = [[] for _ in range(sites)]
    first = 0
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        # Start where the class before ended, so that no site gets every class's odd row.
        for place in range(sites):
            dealt[(first + place) % sites].append(rows[place::sites])
        first += len(rows)
    return [random.permutation(np.concatenate(rows)) for rows in dealt]


def dirichlet(labels: Rows, sites: int, alpha: float, random: Random) -> list[Rows]:
    """Deal every class out in shares drawn from a Dirichlet distribution.

    Source: Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks",
    2019, section 4.
    """
    dealt: list[list[Rows]] = [[] for _ in range(sites)]
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        for site, part in enumerate(_cut(rows, random.dirichlet(np.full(sites, alpha)))):
            dealt[site].append(part)
    return _topped_up([random.permutation(np.concatenate(rows)) for rows in dealt])


def shards(labels: Rows, sites: int, random: Random) -> list[Rows]:
    """Sort by class, cut into two shards per site, and deal the shards out.

    Source: McMahan et al., "Communication-Efficient Learning of Deep Networks from
    Decentralized Data", 2017, section 3.
    """
    # Shuffled before the stable sort, so that a class's rows are in random order.
    shuffled = random.permutation(len(labels))
    rows = shuffled[np.argsort(labels[shuffled], kind="stable")]
    pieces = np.array_split(rows, 2 * sites)
    order = random.permutation(2 * sites)
    return [
        random.permutation(np.concatenate([pieces[one], pieces[other]]))
        for one, other in zip(order[::2], order[1::2], strict=True)
    ]


def quantity(labels: Rows, sites: int, alpha: float, random: Random) -> list[Rows]:
    """Cut the shuffled rows into sizes drawn from a Dirichlet distribution.

    Source: Li et al., "Federated Learning on Non-IID Data Silos: An Experimental Study", 2022,
    section IV-C.
    """
    shares = random.dirichlet(np.full(sites, alpha))
    return _topped_up(_cut(random.permutation(len(labels)), shares))


def by_value(column: npt.NDArray[Any]) -> list[Rows]:
    """Give each value of a column a site of its own: the natural split."""
    return [np.flatnonzero(column == value) for value in np.unique(column)]


def _cut(rows: Rows, shares: npt.NDArray[np.float64]) -> list[Rows]:
    cuts = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
    return np.split(rows, cuts)


def _topped_up(parts: list[Rows]) -> list[Rows]:
    """Give sites with next to nothing some rows of the largest; the others stay as they are."""
    fewest = min(FEWEST, sum(map(len, parts)) // (2 * len(parts)))
    parts = list(parts)
    for site in range(len(parts)):
        while len(parts[site]) < fewest:
            richest = max(range(len(parts)), key=lambda other: len(parts[other]))
            missing = fewest - len(parts[site])
            given = min(missing, len(parts[richest]) - fewest)
            parts[site] = np.concatenate([parts[site], parts[richest][:given]])
            parts[richest] = parts[richest][given:]
    return parts


def _classes(labels: Rows) -> int:
    _, counts = np.unique(labels, return_counts=True)
    return int((counts >= FEWEST_PER_CLASS).sum())
