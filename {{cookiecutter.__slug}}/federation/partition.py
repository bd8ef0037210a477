"""Ways to spread examples over sites. Each returns one array of row numbers per site."""

import numpy as np
import numpy.typing as npt

from .project import ProjectError

Rows = npt.NDArray[np.int64]

# What each site gets at the least, of at least two classes, so that it can hold some of them out.
FEWEST_PER_CLASS = 2
TRIES = 1000


def iid(labels: Rows, sites: int, random: np.random.Generator) -> list[Rows]:
    """Deal the rows of every class out evenly: all sites look alike.

    labels: int64, shape (rows,), the class of each row.
    """
    dealt: list[list[Rows]] = [[] for _ in range(sites)]
    first = 0
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        # Start where the class before ended, so that no site gets every class's odd row.
        for place in range(sites):
            dealt[(first + place) % sites].append(rows[place::sites])
        first += len(rows)
    return [random.permutation(np.concatenate(rows)) for rows in dealt]


def dirichlet(labels: Rows, sites: int, alpha: float, random: np.random.Generator) -> list[Rows]:
    """Deal every class out in shares drawn from a Dirichlet distribution: sites differ.

    labels: int64, shape (rows,). alpha: the smaller, the more the sites differ.
    Raises `ProjectError` when no draw leaves each site two classes to learn from.
    Source: Yurochkin et al., "Bayesian Nonparametric Federated Learning of Neural Networks",
    2019, section 4.
    """
    classes = np.unique(labels)
    for _ in range(TRIES):
        owner = np.empty(len(labels), dtype=np.int64)
        for label in classes:
            rows = random.permutation(np.flatnonzero(labels == label))
            shares = random.dirichlet(np.full(sites, alpha))
            cuts = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
            for site, part in enumerate(np.split(rows, cuts)):
                owner[part] = site
        parts = [np.flatnonzero(owner == site) for site in range(sites)]
        if all(can_learn(labels[part]) for part in parts):
            return [random.permutation(part) for part in parts]
    raise ProjectError(
        f"no way found to give each of {sites} sites {FEWEST_PER_CLASS} examples of two classes "
        f"at alpha {alpha:g}; take fewer sites, more examples or a larger --alpha"
    )


def can_learn(labels: Rows) -> bool:
    """Tell whether a site with these labels has enough of two classes."""
    _, counts = np.unique(labels, return_counts=True)
    return int((counts >= FEWEST_PER_CLASS).sum()) >= 2
