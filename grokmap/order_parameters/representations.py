"""Embeddings that learn addition of whole numbers: Liu et al., arXiv 2205.10343.

The task's table is all unordered pairs of p tokens, in any order (a published split
shuffles it); E [p, k] are the embeddings, each coordinate standardised.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from grokmap.order_parameters.snapshot import Snapshot, undefined
from grokmap.theory import liu


def parallelogram_share(snapshot: Snapshot) -> jax.Array:
    """Share of the parallelograms i + j = m + n that the embeddings close.

    Liu's representation quality index on plain addition: (E_i + E_j - E_m - E_n)^2,
    the mean over coordinates, below `liu.TOLERANCE`; p = 10 has 70. 1 where E_i is
    linear in i, about 0 at random. NaN elsewhere, and where all embeddings are equal.
    """
    standardised = _standardised(snapshot)
    if standardised is None:
        return undefined()
    p = standardised.shape[0]
    rows = liu.equations(liu.all_pairs(p), p)
    closed = jnp.mean(jnp.square(rows @ standardised), axis=-1) < liu.TOLERANCE
    return _where_defined(standardised, jnp.mean(closed))


def _standardised(snapshot: Snapshot) -> jax.Array | None:
    """[p, k] embeddings; None where there are none or the task is another."""
    embedding = snapshot.params.get("embedding")
    if embedding is None:
        return None
    p = embedding.shape[0]
    if snapshot.train.shape[0] != p * (p + 1) // 2:
        return None
    centred = embedding - jnp.mean(embedding, axis=0, keepdims=True)
    return centred / jnp.std(embedding, axis=0, ddof=1, keepdims=True)


def predicted_accuracy(snapshot: Snapshot) -> jax.Array:
    """Accuracy on all pairs that the embeddings allow, whatever the decoder.

    Share of the pairs that are training examples or close a parallelogram with one
    (`liu.predicted_accuracy`). At least the train fraction; on a line, the share of
    pairs whose sum is that of a training example. NaN as `parallelogram_share`.
    """
    standardised = _standardised(snapshot)
    if standardised is None:
        return undefined()
    pairs = jnp.asarray(snapshot.inputs)
    sums = jnp.sum(pairs, axis=1)
    place = jnp.sum(standardised[pairs], axis=1)
    error = jnp.mean(jnp.square(place[:, None] - place[None, :]), axis=-1)
    closes = (sums[:, None] == sums[None, :]) & (error < liu.TOLERANCE)
    known = snapshot.train | jnp.any(closes & snapshot.train[None, :], axis=1)
    return _where_defined(standardised, jnp.mean(known))


def _where_defined(standardised: jax.Array, value: jax.Array) -> jax.Array:
    return jnp.where(jnp.all(jnp.isfinite(standardised)), value, jnp.nan)
