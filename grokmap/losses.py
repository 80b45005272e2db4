"""Losses: (outputs [n, C], answer) -> loss of each example [n].

answer: label [n], the class of each example, or target [n, C] (`tasks.Data.answer`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def mse(logits: jax.Array, answer: jax.Array) -> jax.Array:
    """sum_c (f_c - y_c)^2, y the target or one-hot. Range [0, inf); of f = 0, |y|^2."""
    target = answer
    if answer.ndim == 1:
        target = jax.nn.one_hot(answer, logits.shape[-1], dtype=logits.dtype)
    return jnp.sum(jnp.square(logits - target), axis=-1)


@jax.custom_jvp
def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """-log softmax(f)_label in nats. Range [0, inf); ln C for f = 0.

    In float32 exactly 0, with no gradient for the correct class, once its logit leads
    by more than 24 ln 2 + ln(C - 1) = 16.6 for two classes (softmax collapse; Prieto et
    al., arXiv 2501.04697).
    """
    # Not logsumexp - logit: adding the maximum back would round small losses away.
    log_p = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.take_along_axis(log_p, label[:, None], axis=-1)[:, 0]


@cross_entropy.defjvp
def _cross_entropy_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """By softmax - y, y one-hot: fewer passes over the logits than through log_p."""
    logits, label = primals
    target = jax.nn.one_hot(label, logits.shape[-1], dtype=logits.dtype)
    error = jax.nn.softmax(logits, axis=-1) - target
    return cross_entropy(logits, label), jnp.sum(error * tangents[0], axis=-1)


def stablemax(logits: jax.Array, label: jax.Array) -> jax.Array:
    """-log of s(f_label) / sum_c s(f_c), s(x) = x + 1 for x >= 0, 1/(1 - x) below.

    Prieto et al. (arXiv 2501.04697), whose code takes it in float64. Here it is
    log(1 + odds), odds those of all other classes, which float32 does not round to 0
    as 1 - p: neither loss nor gradient vanishes. Range (0, inf); ln C for f = 0.
    """
    # log s, without ever dividing by a small number.
    size = jnp.log1p(jnp.abs(logits))
    log_s = jnp.where(logits >= 0, size, -size)
    is_label = jax.nn.one_hot(label, logits.shape[-1], dtype=bool)
    others = jax.nn.logsumexp(jnp.where(is_label, -jnp.inf, log_s), axis=-1)
    return jax.nn.softplus(others - jnp.sum(jnp.where(is_label, log_s, 0.0), axis=-1))


def logistic(outputs: jax.Array, target: jax.Array) -> jax.Array:
    """log(1 + exp(-y f)), y = -1 or 1, summed over outputs. ln 2 for f = 0."""
    return jnp.sum(jax.nn.softplus(-target * outputs), axis=-1)


Loss = Callable[[jax.Array, jax.Array], jax.Array]
LOSSES: dict[str, Loss] = {
    "mse": mse,
    "cross_entropy": cross_entropy,
    "stablemax": stablemax,
    "logistic": logistic,
}
