"""Split examples among sites. Each method returns one array of row numbers per site."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..project.errors import ProjectError

__all__ = ["Method", "Rows", "by_value", "dirichlet", "iid", "quantity", "shards", "spread"]

Rows = npt.NDArray[np.int64]
Random = np.random.Generator

Method = Literal["iid", "dirichlet", "shards", "quantity", "column"]
# A class needs one example to train on and one to hold out.
MIN_EXAMPLES_PER_CLASS = 2
# Smaller sites are filled up to this size, if there are enough examples for all sites.
MIN_EXAMPLES_PER_SITE = 10
MAX_DRAWS = 1000


def spread(
    method: Method,
    labels: Rows,
    sites: int,
    alpha: float,
    column: npt.NDArray[Any] | None,
    random: Random,
    classes: int = 2,
) -> list[Rows]:
    """Split rows among sites by one method.

    Args:
        method: The name of the method.
        labels: int64, shape (rows,), the class of each row.
        sites: The number of sites.
        alpha: The concentration parameter of dirichlet and quantity.
        column: Shape (rows,), the values to split by; for the method `column`.
        random: The source of random numbers.
        classes: The number of classes that each site needs: 2, because the package rejects files
            with a single class, or 1, which is enough for a simulation.

    Raises:
        ProjectError: A site would have too few classes with `MIN_EXAMPLES_PER_CLASS` examples.
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
    # A simulation prefers splits that a network would accept too, but only tries a tenth as long.
    goals = ((2, MAX_DRAWS),) if classes == 2 else ((2, MAX_DRAWS // 10), (classes, MAX_DRAWS))
    for wanted, max_draws in goals:
        for _ in range(1 if method in ("iid", "column") else max_draws):
            parts = draws[method]()
            if all(_classes(labels[rows]) >= wanted for rows in parts):
                return parts
    needed = f"{MIN_EXAMPLES_PER_CLASS} examples of {'two classes' if classes == 2 else 'a class'}"
    raise ProjectError(
        f"no way found to give each of {sites} sites {needed} by '{method}'; "
        "use fewer sites, more examples, a larger --alpha or another --partition"
    )


def iid(labels: Rows, sites: int, random: Random) -> list[Rows]:
    """Distribute the rows of every class evenly."""
    dealt: list[list[Rows]] = [[] for _ in range(sites)]
    first = 0
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        # Start where the previous class ended, so that no site gets every class's odd row.
        for place in range(sites):
            dealt[(first + place) % sites].append(rows[place::sites])
        first += len(rows)
    return [random.permutation(np.concatenate(rows)) for rows in dealt]


def dirichlet(labels: Rows, sites: int, alpha: float, random: Random) -> list[Rows]:
    """Distribute every class in shares drawn from a Dirichlet distribution.

    Source: Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks",
    2019, section 4.
    """
    dealt: list[list[Rows]] = [[] for _ in range(sites)]
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        for site, part in enumerate(_cut(rows, random.dirichlet(np.full(sites, alpha)))):
            dealt[site].append(part)
    return _fill_small_sites([random.permutation(np.concatenate(rows)) for rows in dealt])


def shards(labels: Rows, sites: int, random: Random) -> list[Rows]:
    """Sort by class, cut into two shards per site, and distribute the shards.

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
    return _fill_small_sites(_cut(random.permutation(len(labels)), shares))


def by_value(column: npt.NDArray[Any]) -> list[Rows]:
    """Return one site for each value of a column: the natural split."""
    return [np.flatnonzero(column == value) for value in np.unique(column)]


def _cut(rows: Rows, shares: npt.NDArray[np.float64]) -> list[Rows]:
    cuts = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
    return np.split(rows, cuts)


def _fill_small_sites(parts: list[Rows]) -> list[Rows]:
    """Move rows from the largest sites to those with too few."""
    minimum = min(MIN_EXAMPLES_PER_SITE, sum(map(len, parts)) // (2 * len(parts)))
    parts = list(parts)
    for site in range(len(parts)):
        while len(parts[site]) < minimum:
            largest = max(range(len(parts)), key=lambda other: len(parts[other]))
            missing = minimum - len(parts[site])
            moved = min(missing, len(parts[largest]) - minimum)
            parts[site] = np.concatenate([parts[site], parts[largest][:moved]])
            parts[largest] = parts[largest][moved:]
    return parts


def _classes(labels: Rows) -> int:
    _, counts = np.unique(labels, return_counts=True)
    return int((counts >= MIN_EXAMPLES_PER_CLASS).sum())
