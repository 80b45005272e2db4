"""Ranks, outliers and shapes of weights and activations. No task structure needed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.order_parameters.snapshot import (
    Snapshot,
    eigenvalues,
    norm,
    ratio,
    undefined,
    unit,
)
from grokmap.theory.spiked import largest_power, marchenko_pastur_median

# Of head_tail_contrast: eigenvalues in the head, and what is added to both shares.
HEAD, LEAST = 5, 1e-10


def effective_rank(snapshot: Snapshot) -> jax.Array:
    """exp of the entropy of q_i = sigma_i^2 / sum_k sigma_k^2 of W = first [2p, N].

    After Roy and Vetterli (2007), who do not square the singular values; see
    `effective_rank_roy_vetterli`. k equal singular values give k; rank one gives 1.
    Range [1, min(2p, N)]; NaN for W = 0. Stays high in a network that generalises with
    all its frequencies.
    """
    return _entropy_rank(snapshot.first_powers)


def effective_rank_roy_vetterli(snapshot: Snapshot) -> jax.Array:
    """exp of the entropy of q_i = sigma_i / sum_k sigma_k of W = first [2p, N].

    The effective rank as Roy and Vetterli (2007) define it; at least as large as
    `effective_rank`, which squares the singular values. Small ones count for more: in
    float32 those below about 3e-4 of the largest are rounding. Range [1, min(2p, N)];
    NaN for W = 0.
    """
    return _entropy_rank(jnp.sqrt(snapshot.first_powers))


def motion_rank(snapshot: Snapshot) -> jax.Array:
    """`effective_rank` of W_t - W_0, W = first [2p, N]: of what training has added.

    Range [1, min(2p, N)]; NaN at step 0. Where weights decay, the part of W_0 that is
    gone is in it too, of high rank: compare with training without weight decay.
    """
    if snapshot.initial_params is None:
        return undefined()
    return _entropy_rank(snapshot.motion_powers)


def _entropy_rank(weights: jax.Array) -> jax.Array:
    """exp of the entropy of weights [n] over their sum; NaN where all are 0."""
    q = ratio(weights, jnp.sum(weights))
    return jnp.exp(jnp.sum(jax.scipy.special.entr(q)))


def participation_ratio(snapshot: Snapshot) -> jax.Array:
    """tr(C)^2 / tr(C^2), C [N, N] the centred covariance of the hidden activations.

    k equal eigenvalues give k; one direction gives 1. Range [1, N]; NaN for C = 0.
    """
    hidden = unit(snapshot.hidden)
    covariance = _covariance(hidden, hidden - jnp.mean(hidden, axis=0, keepdims=True))
    return ratio(jnp.trace(covariance) ** 2, jnp.sum(jnp.square(covariance)))


def head_tail_contrast(snapshot: Snapshot) -> jax.Array:
    """ln of the sum of the HEAD largest eigenvalues over the sum of all others, of the
    covariance [N, N] of the hidden activations on test examples.

    Bi et al. (arXiv 2603.24746), their HTC, who take the mean over tokens of the last
    layer's output. k equal eigenvalues give ln(HEAD / (k - HEAD)); rank HEAD or less
    at most 23, from 1e-10 that is added to both shares (16 or so in float32). NaN for
    C = 0 and for N <= HEAD.
    """
    hidden, test = unit(snapshot.hidden), snapshot.test[:, None]
    total = jnp.sum(jnp.where(test, hidden, 0.0), axis=0, keepdims=True)
    mean = total / jnp.sum(test)
    covariance = _covariance(hidden, jnp.where(test, hidden - mean, 0.0))
    if len(covariance) <= HEAD:
        return undefined()
    powers = jnp.maximum(eigenvalues(covariance), 0.0)
    head, tail = jnp.sum(powers[-HEAD:]), jnp.sum(powers[:-HEAD])
    share = ratio(head, head + tail)
    return jnp.log(share + LEAST) - jnp.log(ratio(tail, head + tail) + LEAST)


def _covariance(hidden: jax.Array, centred: jax.Array) -> jax.Array:
    """[N, N] of centred activations [n, N], over their largest size."""
    # A neuron that is constant over examples leaves rounding noise.
    size = jnp.max(jnp.abs(centred), axis=0, keepdims=True)
    noise = 1e-5 * jnp.max(jnp.abs(hidden), axis=0, keepdims=True)
    centred = unit(jnp.where(size > noise, centred, 0.0))
    return centred.T @ centred / centred.shape[0]


def bulk_outliers(snapshot: Snapshot) -> jax.Array:
    """Number of singular values of W = first [2p, N] beyond the noise bulk.

    The noise level is W's own: that of the Marchenko-Pastur law with W's median
    singular value (Gavish and Donoho, arXiv 1305.5870). The edge is that law's,
    (sqrt(n - 1) + sqrt(m))^2, and 4 Tracy-Widom widths (Johnstone 2001). Gaussian W
    gives 0; a rank-one spike of strength theta counts once it exceeds the threshold
    of Baik, Ben Arous and Peche, theta > sigma (n m)^(1/4), by that margin. Range
    [0, min(2p, N)]; NaN for W = 0. Blind where structure fills half the spectrum or
    more: the bulk it compares with is then structure too. Where W has no noise, it
    counts the singular values that float32 resolves: k for rank k.
    """
    return _outliers(snapshot.first_powers, snapshot.params["first"].shape)


def motion_outliers(snapshot: Snapshot) -> jax.Array:
    """`bulk_outliers` of W_t - W_0, W = first [2p, N]: of what training has added.

    Range [0, min(2p, N)]; NaN at step 0. Where weights decay, the part of W_0 that is
    gone is a bulk beside it: compare with training without weight decay.
    """
    if snapshot.initial_params is None:
        return undefined()
    return _outliers(snapshot.motion_powers, snapshot.params["first"].shape)


def top_over_edge(snapshot: Snapshot) -> jax.Array:
    """Largest singular value of W = first [2p, N] over the edge of its noise bulk.

    The edge is that of `bulk_outliers`, with its margin: above 1 where that is at least
    1. Gaussian W: 0.9 to 1 (0.95 at 46 by 128); beyond the threshold of Baik, Ben Arous
    and Peche it grows with the spike as `theory.spiked.position` says; a matrix
    without noise: the inverse root of what float32 resolves, above 10^2. Range (0,
    inf); NaN for W = 0.
    """
    return _top(snapshot.first_powers, snapshot.params["first"].shape)


def motion_top_over_edge(snapshot: Snapshot) -> jax.Array:
    """`top_over_edge` of W_t - W_0, W = first [2p, N]: of what training has added.

    Range (0, inf); NaN at step 0. Where weights decay, the part of W_0 that is gone is
    a bulk beside it.
    """
    if snapshot.initial_params is None:
        return undefined()
    return _top(snapshot.motion_powers, snapshot.params["first"].shape)


def _outliers(powers: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """How many of the squared singular values of a matrix of this shape, ascending, lie
    beyond the edge of their noise bulk; NaN where all are 0."""
    count = jnp.sum(powers > _edge(powers, shape)).astype(jnp.float32)
    return jnp.where(powers[-1] > 0, count, jnp.nan)


def _top(powers: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Root of the largest of them over that edge; NaN where all are 0."""
    return jnp.sqrt(ratio(powers[-1], _edge(powers, shape)))


def _edge(powers: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Where the squares of their noise bulk end, and `spiked.EDGE_MARGIN` beyond it."""
    m, n = sorted(shape)
    level = jnp.median(powers) / marchenko_pastur_median(m / n) / n
    edge = level * largest_power(shape)
    resolved = n * np.finfo(np.float32).eps * powers[-1]
    return jnp.maximum(edge, resolved)


def gini(snapshot: Snapshot) -> jax.Array:
    """Gini coefficient of the absolute weights |theta|, all layers together.

    0 where all are equal, 1 - k/n where k of n are equal and the rest 0,
    sqrt(2) - 1 = 0.414 for Gaussian weights. Range [0, 1); NaN for theta = 0.
    Hurley and Rickard (arXiv 0811.4706).
    """
    leaves = jax.tree.leaves(snapshot.params)
    size = jnp.sort(jnp.abs(jnp.concatenate([leaf.ravel() for leaf in leaves])))
    size = unit(size)
    n = size.shape[0]
    place = (2 * np.arange(1, n + 1) - n - 1) / n
    return ratio(jnp.sum(place.astype(np.float32) * size), jnp.sum(size))


def preactivation_kurtosis(snapshot: Snapshot) -> jax.Array:
    """Excess kurtosis of the pre-activations, over neurons and examples together.

    0 for Gaussian weights; -0.75 for one cosine of a and one of b in each neuron;
    positive for a mixture of wide and narrow neurons (Rubin, Seroussi and Ringel, arXiv
    2310.03789). Range [-2, inf); NaN where all are equal.
    """
    h = unit(snapshot.preactivation)
    h = h - jnp.mean(h)
    variance = jnp.mean(jnp.square(h))
    return ratio(jnp.mean(jnp.square(jnp.square(h))), variance**2) - 3.0


def teacher_overlap(snapshot: Snapshot) -> jax.Array:
    """Root mean square overlap of the first layer's neurons with the teacher.

    sqrt(sum_j (w_j.beta)^2 / (|W|^2 |beta|^2)), beta the direction that the targets
    depend on; of one neuron the |m| of Saad and Solla (1995). 1 where all weights lie
    along it, 1/sqrt(d) for random ones. Range [0, 1]; NaN without a teacher and for
    W = 0.
    """
    if snapshot.teacher is None or "first" not in snapshot.params:
        return undefined()
    along = norm(snapshot.params["first"].T @ snapshot.teacher)
    return ratio(along, norm(snapshot.params["first"]) * norm(snapshot.teacher))
