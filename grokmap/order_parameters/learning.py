"""Losses, accuracies, norms and numerical health: recorded at the dense cadence."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from grokmap.order_parameters.snapshot import (
    Snapshot,
    mean_over,
    norm,
    ratio,
    undefined,
)


def _scores(snapshot: Snapshot) -> jax.Array:
    """[n, K] of which the largest is the class the network names.

    The outputs themselves; where classes have prototypes, minus half the squared
    distance to each, but for what all have in common.
    """
    prototypes = snapshot.prototypes
    if prototypes is None:
        return snapshot.logits
    return snapshot.logits @ prototypes.T - 0.5 * jnp.sum(prototypes**2, axis=1)[None]


def _correct(snapshot: Snapshot) -> jax.Array:
    """[n] 1.0 where the network names the label's class. A tie counts as wrong.

    Otherwise a network that outputs zero would be right wherever the label is class 0.
    Of real targets: where the squared error, the mean over outputs, is below the
    tolerance; NaN without one.
    """
    if snapshot.label is None:
        tolerance = snapshot.network.tolerance
        error = jnp.mean(jnp.square(snapshot.logits - snapshot.answer), axis=-1)
        right = (error < tolerance).astype(jnp.float32)
        return right if tolerance else jnp.full_like(right, jnp.nan)
    scores = _scores(snapshot)
    target = jnp.arange(scores.shape[-1])[None, :] == snapshot.label[:, None]
    target_score = jnp.max(jnp.where(target, scores, -jnp.inf), axis=-1)
    others = jnp.max(jnp.where(target, -jnp.inf, scores), axis=-1)
    return (target_score > others).astype(jnp.float32)


def train_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss over the training examples, without the decay term. Range [0, inf)."""
    return mean_over(snapshot.loss, snapshot.train)


def test_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss over the test examples. Range [0, inf)."""
    return mean_over(snapshot.loss, snapshot.test)


def train_accuracy(snapshot: Snapshot) -> jax.Array:
    """Share of training examples whose largest logit is the label's. Chance 1/p."""
    return mean_over(_correct(snapshot), snapshot.train)


def test_accuracy(snapshot: Snapshot) -> jax.Array:
    """Share of test examples whose largest logit is the label's. Chance 1/p."""
    return mean_over(_correct(snapshot), snapshot.test)


def held_out_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss over the examples of kinds held out of training and test. [0, inf)."""
    held_out = snapshot.held_out
    return undefined() if held_out is None else mean_over(snapshot.loss, held_out)


def held_out_accuracy(snapshot: Snapshot) -> jax.Array:
    """Share of those whose largest logit is the label's. Chance 1/p."""
    held_out = snapshot.held_out
    if held_out is None:
        return undefined()
    return mean_over(_correct(snapshot), held_out)


def zero_loss_fraction(snapshot: Snapshot) -> jax.Array:
    """Share of training examples with a loss of exactly 0 (softmax collapse).

    Prieto et al., arXiv 2501.04697: 0 at initialisation; where it is 1 no correct class
    has a gradient left, and without weight decay learning stalls.
    """
    return mean_over((snapshot.loss == 0).astype(jnp.float32), snapshot.train)


def max_logit(snapshot: Snapshot) -> jax.Array:
    """Largest absolute logit over the table. Range [0, inf)."""
    return jnp.max(jnp.abs(snapshot.logits))


def weight_norm(snapshot: Snapshot) -> jax.Array:
    """|theta|, Frobenius norm of all weights; (1 - r)^t of itself at zero gradient."""
    return norm(snapshot.params)


def weight_norm_first(snapshot: Snapshot) -> jax.Array:
    """Frobenius norm of the first layer's matrix [2p, N]; sqrt(2pN) at N(0, 1).

    NaN where a network has none.
    """
    return _norm_of(snapshot, "first")


def weight_norm_readout(snapshot: Snapshot) -> jax.Array:
    """Frobenius norm of the readout matrix [C, N]; sqrt(NC) at N(0, 1).

    NaN where a network has none.
    """
    return _norm_of(snapshot, "readout")


def _norm_of(snapshot: Snapshot, name: str) -> jax.Array:
    present = name in snapshot.params
    return norm(snapshot.params[name]) if present else undefined()


def weight_motion(snapshot: Snapshot) -> jax.Array:
    """|theta - theta_0| / |theta_0|: how far the weights have moved.

    0 at the start, 1 where they have decayed. At a given fit it goes as 1/K, K the
    laziness: N^-alpha in the default convention (Chizat et al., arXiv 1812.07956).
    Range [0, inf).
    """
    if snapshot.initial_params is None:
        return undefined()
    start = snapshot.initial_params
    moved = jax.tree.map(jnp.subtract, snapshot.params, start)
    return ratio(norm(moved), norm(start))
