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

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

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


class _State(NamedTuple):
    load: jax.Array  # [n, K]
    topplings: jax.Array  # [n, K]
    peak: jax.Array  # [K]
    sweeps: jax.Array  # [K]
    done: jax.Array  # sweeps of the longest


def sizes_of(
    gradients: Any, graph: Graph, probe: Probe = Probe(), threshold: Any = None
) -> Sizes:
    """Avalanches of K snapshots of gradients [K, n] on one graph, in float32.

    threshold: [K] of each snapshot, in the place of its own percentile.
    """
    load = np.abs(np.asarray(gradients, np.float32)).T
    if threshold is None:
        threshold = thresholds(load.T, probe.percentile)
    sizes = _sizes(
        load,
        np.asarray(threshold, np.float32)[None],
        graph.of,
        graph.to,
        shares(graph, np.float32(probe.passed)),
        np.float32(1.0 - probe.passed if probe.keeps else 0.0),
        probe.sweeps,
    )
    return Sizes(*(np.asarray(x, np.int64) for x in sizes))


def thresholds(gradients: Any, percentile: float) -> Floats:
    """[K] percentile of the absolute gradients [K, n], linear between two of them."""
    load = np.abs(np.asarray(gradients, np.float32))
    return np.asarray(np.percentile(load, percentile, axis=-1), np.float64)


@partial(jax.jit, static_argnums=(6,))
def _sizes(
    load: jax.Array,
    threshold: jax.Array,
    of: jax.Array,
    to: jax.Array,
    share: jax.Array,
    kept: jax.Array,
    sweeps: int,
) -> tuple[jax.Array, ...]:
    last = _relaxed(load, threshold, of, to, share, kept, sweeps)
    return (
        jnp.sum(last.topplings, axis=0),
        last.peak,
        _largest(last.topplings, of, to),
        jnp.sum(last.topplings > 0, axis=0),
        last.sweeps,
    )


def _relaxed(
    load: Any,
    threshold: Any,
    of: Any,
    to: Any,
    share: Any,
    kept: Any,
    sweeps: int,
) -> _State:
    """After all sweeps. load: [n, K], with signs or without; threshold: [1, K]."""

    def sweep(state: _State) -> _State:
        above = jnp.abs(state.load) > threshold
        going = jnp.where(above, state.load, 0.0)
        received = jax.ops.segment_sum(
            share[:, None] * going[of], to, load.shape[0], indices_are_sorted=True
        )
        n_above = jnp.sum(above, axis=0)
        return _State(
            jnp.where(above, kept * state.load, state.load) + received,
            state.topplings + above,
            jnp.maximum(state.peak, n_above),
            state.sweeps + (n_above > 0),
            state.done + 1,
        )

    def goes_on(state: _State) -> jax.Array:
        return (state.done < sweeps) & jnp.any(jnp.abs(state.load) > threshold)

    nothing = jnp.zeros(load.shape[1], jnp.int32)
    start = _State(
        load, jnp.zeros(load.shape, jnp.int32), nothing, nothing, jnp.int32(0)
    )
    return lax.while_loop(goes_on, sweep, start)


def _largest(count: jax.Array, of: jax.Array, to: jax.Array) -> jax.Array:
    """[K] topplings of the largest set of connected nodes that toppled.

    Each node takes the highest number among itself and its neighbours, until none
    changes: then connected nodes have one number.
    """
    n = count.shape[0]
    toppled = count > 0
    own = jnp.where(toppled, jnp.arange(n, dtype=jnp.int32)[:, None], -1)

    def spread(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        label, _ = state
        highest = jax.ops.segment_max(label[of], to, n, indices_are_sorted=True)
        new = jnp.where(toppled, jnp.maximum(label, highest), -1)
        return new, jnp.any(new != label)

    label, _ = lax.while_loop(lambda state: state[1], spread, (own, jnp.bool_(True)))

    def most(label: jax.Array, count: jax.Array) -> jax.Array:
        return jnp.max(jax.ops.segment_sum(count, jnp.maximum(label, 0), n))

    return jax.vmap(most, in_axes=(1, 1))(label, count)


def spread_out(gradient: jax.Array, graph: Graph, probe: Probe) -> jax.Array:
    """[n] the gradient [n], with its signs, after the avalanche; traceable.

    The in-line probe: what is left and passed on is the gradient that training follows.
    probe.passed may be traced.
    """
    place = probe.percentile * (graph.n - 1) / 100
    low = int(place + 1e-9)
    ordered = jnp.sort(jnp.abs(gradient))
    high = ordered[min(low + 1, graph.n - 1)]
    threshold = ordered[low] + jnp.float32(place - low) * (high - ordered[low])
    kept = 1.0 - probe.passed if probe.keeps else 0.0
    last = _relaxed(
        gradient[:, None],
        threshold[None, None],
        graph.of,
        graph.to,
        shares(graph, probe.passed),
        kept,
        probe.sweeps,
    )
    return last.load[:, 0]
