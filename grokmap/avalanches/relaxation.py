"""Sweeps of toppling in jax: of many snapshots at once, and in a step of training."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from grokmap.avalanches.graphs import Graph, shares
from grokmap.avalanches.probe import Probe


class _State(NamedTuple):
    load: jax.Array  # [n, K]
    topplings: jax.Array  # [n, K]
    peak: jax.Array  # [K]
    sweeps: jax.Array  # [K]
    done: jax.Array  # sweeps of the longest


@partial(jax.jit, static_argnums=(6,))
def sizes(
    load: jax.Array,
    threshold: jax.Array,
    of: jax.Array,
    to: jax.Array,
    share: jax.Array,
    kept: jax.Array,
    sweeps: int,
) -> tuple[jax.Array, ...]:
    """The fields of `Sizes`, each [K]: load [n, K] without signs, threshold [1, K], of,
    to and share [2m], what stays on a node that topples, sweeps at most."""
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
