"""The graphs that avalanches run on: one node a parameter, mean degree 4.

By networkx, so that they are the graphs of those names. Every node is kept, since each
is a parameter: the few without neighbours (`erdos_renyi`: 2%) lose what they let go.
Nodes are numbered as the graph is built, so that in `barabasi_albert` the first ones,
which are parameters of the first layer, are its hubs; `barabasi_albert_mixed` is the
same graph with its nodes in random order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from grokmap.arrays import Ints

DEGREE = 4  # mean degree of all graphs; barabasi_albert lacks 8 ends of 4 N
REWIRED = 0.1  # share of the edges of `watts_strogatz` whose far end is drawn again


class Graph(NamedTuple):
    """n nodes; both directions of each edge, sorted by `to`: loads go from `of` to it.

    of, to: [2m] node numbers. degree: [n].
    """

    n: int
    of: Ints
    to: Ints
    degree: Ints


# (networkx, n, seed) -> a graph of networkx on the nodes 0 .. n-1.
GRAPHS: dict[str, Callable[[Any, int, int], Any]] = {
    "barabasi_albert": lambda nx, n, seed: nx.barabasi_albert_graph(
        n, DEGREE // 2, seed=seed
    ),
    "barabasi_albert_mixed": lambda nx, n, seed: nx.barabasi_albert_graph(
        n, DEGREE // 2, seed=seed
    ),
    "ring": lambda nx, n, seed: nx.circulant_graph(n, [1, 2]),
    # Square, its rows joined to a helix, so that it closes for every n.
    "lattice": lambda nx, n, seed: nx.circulant_graph(n, [1, max(2, math.isqrt(n))]),
    "erdos_renyi": lambda nx, n, seed: nx.gnm_random_graph(
        n, n * DEGREE // 2, seed=seed
    ),
    "watts_strogatz": lambda nx, n, seed: nx.watts_strogatz_graph(
        n, DEGREE, REWIRED, seed=seed
    ),
}
MIXED = ("barabasi_albert_mixed",)
# On these nodes stand in no order, so that moving gradients about changes nothing on
# average: whatever they show is in the distribution of the gradients' sizes.
EXCHANGEABLE = ("barabasi_albert_mixed", "erdos_renyi")


@lru_cache(maxsize=64)
def graph_of(name: str, n: int, seed: int) -> Graph:
    """A graph of GRAPHS on n > 4 nodes; the same for the same seed and networkx."""
    import networkx

    drawn = GRAPHS[name](networkx, n, seed)
    edges = np.array(sorted(tuple(sorted(edge)) for edge in drawn.edges()), np.int64)
    if name in MIXED:
        edges = np.random.default_rng([seed, n]).permutation(n)[edges]
    return from_edges(edges, n)


def from_edges(edges: Ints, n: int) -> Graph:
    """The graph of undirected edges [m, 2]."""
    of, to = np.concatenate([edges, edges[:, ::-1]]).T
    order = np.lexsort((of, to))
    return Graph(n, of[order], to[order], np.bincount(of, minlength=n))


def shares(graph: Graph, passed: Any) -> Any:
    """[2m] float32, what goes along each edge of a load at its origin: passed / degree.

    passed: a number of the host, or traced.
    """
    return passed * (1.0 / graph.degree[graph.of]).astype(np.float32)
