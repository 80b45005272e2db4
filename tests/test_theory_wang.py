"""Avalanches on graphs, arXiv 2604.04655, on cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.theory import wang

SIZES = np.array([81, 201, 505, 1265])


@pytest.mark.parametrize("graph", wang.GRAPHS)
def test_graphs_are_simple_and_of_one_degree(graph: str) -> None:
    n = 300
    edges = wang.GRAPHS[graph](n, np.random.default_rng(0))
    assert np.all(edges[:, 0] != edges[:, 1])
    assert edges.min() >= 0 and edges.max() < n
    assert len(np.unique(np.sort(edges, axis=1), axis=0)) == len(edges)
    assert 2 * len(edges) / n == pytest.approx(wang.DEGREE, rel=0.1)


def degrees(graph: str, n: int) -> np.ndarray:
    edges = wang.GRAPHS[graph](n, np.random.default_rng(1))
    return np.bincount(edges.ravel(), minlength=n)


def test_degrees_tell_the_graphs_apart() -> None:
    assert set(degrees("ring", 99).tolist()) == {4}
    assert set(degrees("random_regular", 99).tolist()) == {4}
    # Poisson: variance 4; preferential attachment: hubs.
    assert degrees("erdos_renyi", 2000).var() == pytest.approx(4, rel=0.15)
    assert 0 < degrees("small_world", 2000).var() < 1
    assert degrees("barabasi_albert", 2000).max() > 50
    assert degrees("barabasi_albert", 2000)[2:].min() == 2


def test_passing_shares_a_load_among_neighbours() -> None:
    share = wang.passing(np.array([[0, 1], [0, 2]]), 4, 0.8).toarray()
    expected = np.zeros((4, 4))
    expected[[1, 2], 0] = 0.4
    expected[0, [1, 2]] = 0.8
    np.testing.assert_allclose(share, expected)


def test_an_avalanche_by_hand() -> None:
    # A chain of 11 nodes: the 90th percentile is the second largest load, 1.
    load = np.array([[0.0, 0.0, 3.0, -1.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    chain = np.stack([np.arange(10), np.arange(1, 11)], 1)
    # kept 0.5: 3 passes 0.75 to each side: 1 + 0.75 topples, passes 0.4375 to either
    # side: 0.9 + 0.4375 topples, passes 0.334, and it ends.
    assert wang.avalanche_sizes(load, wang.passing(chain, 11, 0.5)) == [3]
    assert wang.avalanche_sizes(load, wang.passing(chain, 11, 0.0)) == [1]


def test_lonely_gradients_topple_alone() -> None:
    gradients = np.random.default_rng(2).standard_normal((20, 201))
    share = wang.passing(wang.ring(201, np.random.default_rng(0)), 201, 0.0)
    np.testing.assert_array_equal(wang.avalanche_sizes(gradients, share), 20)


def test_dimension_of_a_power_law() -> None:
    avalanches = np.stack([0.1 * SIZES**1.2, 0.3 * SIZES**0.9])
    np.testing.assert_allclose(wang.dimension(SIZES, avalanches), [1.2, 0.9])


def test_bootstrap_covers_the_dimension() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for k in range(40):
        noise = np.exp(0.1 * rng.standard_normal((20, len(SIZES))))
        d, low, high = wang.bootstrap_dimension(SIZES, SIZES**1.1 * noise, 300, k)
        assert low < d < high
        covered += low < 1.1 < high
    assert covered >= 33


@pytest.mark.parametrize("graph", wang.GRAPHS)
def test_independent_gradients_give_dimension_one(graph: str) -> None:
    found = wang.null_avalanches(graph, SIZES, 0.5, 2, 51, seed=0)
    assert np.all(found > 0.1 * SIZES * 0.95)
    d, _, _ = wang.bootstrap_dimension(SIZES, found, 100, 0)
    assert d == pytest.approx(1, abs=0.03)
