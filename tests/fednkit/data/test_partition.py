"""Ways to spread examples over sites: every row goes to one site, the same with the same seed."""

from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest

from fednkit.data import partition
from fednkit.data.partition import Method, Rows
from fednkit.project.errors import ProjectError

LABELS = np.random.default_rng(0).choice(4, size=2000, p=[0.4, 0.3, 0.2, 0.1])
COLUMN = np.array(["north", "south"])[np.random.default_rng(1).integers(0, 2, 2000)]


def spread(method: Method, sites: int, alpha: float = 0.5, seed: int = 0) -> list[Rows]:
    column = COLUMN if method == "column" else None
    random = np.random.default_rng(seed)
    return partition.spread(method, LABELS, sites, alpha, column, random)


def shares(parts: list[Rows]) -> npt.NDArray[np.float64]:
    """Return each site's share of each class, shape (sites, classes)."""
    counts = np.stack([np.bincount(LABELS[rows], minlength=4) for rows in parts])
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("method", get_args(Method))
def test_every_row_goes_to_exactly_one_site(method: Method) -> None:
    parts = spread(method, sites=2)
    assert len(parts) == 2
    assert sorted(np.concatenate(parts)) == list(range(len(LABELS)))


@pytest.mark.parametrize("method", get_args(Method))
def test_equal_seeds_give_equal_sites(method: Method) -> None:
    assert all(map(np.array_equal, spread(method, 2, seed=3), spread(method, 2, seed=3)))


def test_iid_sites_are_alike_in_size_and_classes() -> None:
    parts = spread("iid", sites=7)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert np.ptp(shares(parts), axis=0).max() < 0.01


def test_dirichlet_sites_differ_the_more_the_smaller_alpha_is() -> None:
    spreads = [np.ptp(shares(spread("dirichlet", 5, alpha)), axis=0).mean() for alpha in (100, 0.3)]
    assert spreads[0] < 0.2 < spreads[1]


def test_shards_give_each_site_a_few_classes() -> None:
    classes = [len(np.unique(LABELS[rows])) for rows in spread("shards", sites=20)]
    assert max(classes) <= 4
    assert np.mean(classes) < 3


def test_quantity_sites_differ_in_size_but_not_in_classes() -> None:
    parts = spread("quantity", sites=4, alpha=1)
    assert max(map(len, parts)) > 2 * min(map(len, parts))
    large = [rows for rows in parts if len(rows) > 300]
    assert np.ptp(shares(large), axis=0).max() < 0.15


def test_a_column_gives_each_value_a_site() -> None:
    assert [set(COLUMN[rows]) for rows in spread("column", sites=2)] == [{"north"}, {"south"}]
    with pytest.raises(ProjectError, match="expected 2 sites, one for each value"):
        spread("column", sites=3)


def test_a_site_that_a_draw_leaves_empty_gets_some_rows_of_the_largest() -> None:
    parts = partition.spread(
        "dirichlet", LABELS, 80, 0.05, None, np.random.default_rng(0), classes=1
    )
    assert min(map(len, parts)) == partition.MIN_EXAMPLES_PER_SITE
    assert sorted(np.concatenate(parts)) == list(range(len(LABELS)))
    with pytest.raises(ProjectError, match="each of 80 sites 2 examples of two classes"):
        partition.spread("dirichlet", LABELS, 80, 0.05, None, np.random.default_rng(0))


def test_more_sites_than_the_examples_feed_are_refused() -> None:
    with pytest.raises(ProjectError, match="no way found to give each of 900 sites 2 examples"):
        spread("iid", sites=900)
