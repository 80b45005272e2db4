"""Avalanches of gradients on a fixed graph, and what independent gradients give.

Wang, arXiv 2604.04655: the absolute gradients of N parameters load the N nodes of a
graph; nodes above the 90th percentile topple, and the avalanche's size grows as N^D.
Since the percentile makes N/10 nodes topple by construction, D is near 1 for any
gradients; only a deviation from independent ones says something.

The paper fixes neither graphs, dissipation nor sizes in what is public: those here are
our choice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from grokmap.arrays import Floats, Ints

SWEEPS = 20
PERCENTILE = 90
DEGREE = 4  # mean degree of all graphs, but for boundary terms
REWIRED = 0.1  # share of the edges of `small_world`


def barabasi_albert(n: int, rng: np.random.Generator) -> Ints:
    """[m, 2] edges: a new node joins DEGREE/2 others, with chance as their degree."""
    each = DEGREE // 2
    ends = list(range(each))
    edges = []
    for node in range(each, n):
        chosen: set[int] = set()
        while len(chosen) < each:
            chosen.add(ends[rng.integers(len(ends))])
        edges += [(node, other) for other in sorted(chosen)]
        ends += [node] * each + sorted(chosen)
    return np.array(edges)


def ring(n: int, rng: np.random.Generator) -> Ints:
    """[m, 2] edges of each node to the DEGREE/2 next ones on a circle; n > DEGREE."""
    node = np.arange(n)
    hops = range(1, DEGREE // 2 + 1)
    return np.concatenate([np.stack([node, (node + h) % n], 1) for h in hops])


def erdos_renyi(n: int, rng: np.random.Generator) -> Ints:
    """[m, 2] each pair with chance DEGREE / (n - 1)."""
    pairs = np.stack(np.triu_indices(n, 1), 1)
    return pairs[rng.random(len(pairs)) < DEGREE / (n - 1)]


def small_world(n: int, rng: np.random.Generator) -> Ints:
    """[m, 2] the ring with a share REWIRED of its edges' far ends drawn again (Watts
    and Strogatz); without loops or double edges."""
    edges = {(int(a), int(b)) for a, b in np.sort(ring(n, rng), axis=1)}
    for a, b in sorted(edges):
        if rng.random() < REWIRED:
            c = int(rng.integers(n))
            new = (min(a, c), max(a, c))
            if c != a and new not in edges:
                edges.remove((a, b))
                edges.add(new)
    return np.array(sorted(edges))


def random_regular(n: int, rng: np.random.Generator) -> Ints:
    """[m, 2] DEGREE/2 random cycles through all nodes, without double edges."""
    while True:
        cycles = [rng.permutation(n) for _ in range(DEGREE // 2)]
        edges = np.concatenate([np.stack([c, np.roll(c, 1)], 1) for c in cycles])
        edges = np.sort(edges, axis=1)
        if len(np.unique(edges, axis=0)) == len(edges):
            return edges


GRAPHS: dict[str, Callable[[int, np.random.Generator], Ints]] = {
    "barabasi_albert": barabasi_albert,
    "ring": ring,
    "erdos_renyi": erdos_renyi,
    "small_world": small_world,
    "random_regular": random_regular,
}


def passing(edges: Ints, n: int, kept: float) -> csr_array:
    """[n, n] column j has kept / degree_j at j's neighbours, 0 if it has none.

    kept: alpha_diff in [0, 1), the share of a load that is passed on.
    """
    to, of = np.concatenate([edges, edges[:, ::-1]]).T
    degree = np.bincount(of, minlength=n)
    return csr_array((kept / degree[of], (to, of)), shape=(n, n))


def avalanche_sizes(gradients: Floats, share: csr_array) -> Floats:
    """[k] topplings of each snapshot of gradients [k, n], over SWEEPS at most.

    In a sweep all nodes above the snapshot's threshold, the 90th percentile of |g| at
    its start, lose their load and pass it on by `share`. A node counts as often as it
    topples. One avalanche a snapshot, so its size is the snapshot's s_max.
    """
    load = np.abs(gradients).T
    threshold = np.percentile(load, PERCENTILE, axis=0)
    sizes = np.zeros(load.shape[1])
    for _ in range(SWEEPS):
        toppling = load > threshold
        if not toppling.any():
            break
        sizes += toppling.sum(axis=0)
        load = np.where(toppling, 0.0, load) + share @ np.where(toppling, load, 0.0)
    return sizes


def dimension(sizes: Floats | Ints, avalanches: Floats) -> Floats:
    """D [...], least-squares slope of ln s over ln N: sizes [S], s [..., S]."""
    x = np.log(sizes) - np.log(sizes).mean()
    return np.asarray(np.log(avalanches) @ x / (x @ x))


def bootstrap_dimension(
    sizes: Floats | Ints, avalanches: Floats, n_resamples: int, seed: int
) -> tuple[float, float, float]:
    """(D, low, high), 95%, of seeds' avalanches [R, S]: D of the means of ln s.

    Seeds are drawn again for each size, since every size has other networks.
    """
    logs = np.log(avalanches)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(logs), size=(n_resamples, *logs.shape))
    means = np.take_along_axis(logs[None], drawn, axis=1).mean(axis=1)
    low, high = np.percentile(dimension(sizes, np.exp(means)), [2.5, 97.5])
    estimate = dimension(sizes, np.exp(logs.mean(axis=0)))
    return float(estimate), float(low), float(high)


def null_avalanches(
    graph: str, sizes: Ints, kept: float, n_seeds: int, n_snapshots: int, seed: int
) -> Floats:
    """[n_seeds, S] avalanches of independent Gaussian gradients, on a graph of GRAPHS
    drawn for each seed and size.

    Geometric means over snapshots, so that the slope of their logarithms is that of the
    snapshots. (Arithmetic means give a D lower by about 0.01: small networks fluctuate
    more, and large avalanches more than small ones.)
    """
    out = np.empty((n_seeds, len(sizes)))
    for draw in range(n_seeds):
        for k, n in enumerate(sizes.tolist()):
            rng = np.random.default_rng([seed, draw, n])
            share = passing(GRAPHS[graph](n, rng), n, kept)
            gradients = rng.standard_normal((n_snapshots, n))
            out[draw, k] = np.log(avalanche_sizes(gradients, share)).mean()
    return np.exp(out)
