"""Losses, accuracies, norms and numerical health: recorded at the dense cadence."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from grokmap.order_parameters.snapshot import Snapshot, mean_over, norm


def _correct(snapshot: Snapshot) -> jax.Array:
    """[n] 1.0 where the largest logit is the label's. A tie counts as wrong.

    Otherwise a network that outputs zero would be right wherever the label is class 0.
    """
    target = jnp.arange(snapshot.logits.shape[-1])[None, :] == snapshot.label[:, None]
    own = jnp.max(jnp.where(target, snapshot.logits, -jnp.inf), axis=-1)
    others = jnp.max(jnp.where(target, -jnp.inf, snapshot.logits), axis=-1)
    return (own > others).astype(jnp.float32)


def train_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss over the training examples, without the decay term. Range [0, inf)."""
    return mean_over(snapshot.loss, snapshot.train)


def test_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss over the examples not trained on. Range [0, inf)."""
    return mean_over(snapshot.loss, ~snapshot.train)


def train_accuracy(snapshot: Snapshot) -> jax.Array:
    """Share of training examples whose largest logit is the label's. Chance 1/p."""
    return mean_over(_correct(snapshot), snapshot.train)


def test_accuracy(snapshot: Snapshot) -> jax.Array:
    """Share of test examples whose largest logit is the label's. Chance 1/p."""
    return mean_over(_correct(snapshot), ~snapshot.train)


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
    """Frobenius norm of the first layer's matrix [2p, N]; sqrt(2pN) at N(0, 1)."""
    return norm(snapshot.params["first"])


def weight_norm_readout(snapshot: Snapshot) -> jax.Array:
    """Frobenius norm of the readout matrix [C, N]; sqrt(NC) at N(0, 1)."""
    return norm(snapshot.params["readout"])
