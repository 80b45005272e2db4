"""The probe: the largest gradients let go of their load, and their neighbours may, too.

Wang, arXiv 2604.04655, after the earthquakes of Olami, Feder and Christensen. The
absolute gradients of N parameters load the N nodes of a graph. In a sweep all nodes
above a threshold topple: they pass a share of their load to their neighbours, in equal
parts. Sweeps go on until nothing is above it.

With a percentile as the threshold a fixed share of the nodes topples at first, whatever
the gradients are: sizes grow with N as N^D with D near 1. Only what differs from D of
gradients without correlations (`nulls`) says something.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grokmap.arrays import Floats, Ints
from grokmap.avalanches.graphs import Graph, shares

SWEEPS = 20


class Probe(NamedTuple):
    """How a snapshot is probed. Numbers that the paper's public text lacks are ours.

    percentile: of |g|, in (0, 100), the threshold of a snapshot (paper: 90).
    passed: alpha_diff in [0, 1], the share of a toppling node's load that its
      neighbours get (not known; 1/2 here).
    keeps: whether the rest, 1 - passed, stays on the node, which makes it conserve its
      load; else it is lost, as in the earthquake model. The paper's words allow both.
    sweeps: at most (paper: 20).
    """

    percentile: float = 90.0
    passed: float = 0.5
    keeps: bool = False
    sweeps: int = SWEEPS


class Sizes(NamedTuple):
    """What the probe sees of K snapshots: [K] arrays, whole numbers.

    total: topplings in all sweeps; a node counts as often as it topples.
    peak: topplings in the largest sweep.
    largest: topplings in the largest avalanche, where those of connected nodes are one.
    nodes: nodes that toppled at all. sweeps: until nothing was above the threshold.
    """

    total: Ints
    peak: Ints
    largest: Ints
    nodes: Ints
    sweeps: Ints


def sizes_of(
    gradients: Any, graph: Graph, probe: Probe = Probe(), threshold: Any = None
) -> Sizes:
    """Avalanches of K snapshots of gradients [K, n] on one graph, in float32.

    threshold: [K] of each snapshot, in the place of its own percentile.
    """
    from grokmap.avalanches.relaxation import sizes  # jax, not before it is needed

    load = np.abs(np.asarray(gradients, np.float32)).T
    if threshold is None:
        threshold = thresholds(load.T, probe.percentile)
    found = sizes(
        load,
        np.asarray(threshold, np.float32)[None],
        graph.of,
        graph.to,
        shares(graph, np.float32(probe.passed)),
        np.float32(1.0 - probe.passed if probe.keeps else 0.0),
        probe.sweeps,
    )
    return Sizes(*(np.asarray(x, np.int64) for x in found))


def thresholds(gradients: Any, percentile: float) -> Floats:
    """[K] percentile of the absolute gradients [K, n], linear between two of them."""
    load = np.abs(np.asarray(gradients, np.float32))
    return np.asarray(np.percentile(load, percentile, axis=-1), np.float64)
