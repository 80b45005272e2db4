"""Each layer by itself: how far its weights have moved, what its neurons have in common
with the labels.

Hidden layers count from 1. Those recorded are the first `DEPTH`; of a network with
fewer, the others are NaN.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from grokmap.order_parameters.snapshot import Snapshot, norm, ratio, undefined, unit

DEPTH = 4
ARRAYS = ("first", *(f"hidden_{layer}" for layer in range(2, DEPTH + 1)), "readout")


def motion(array: str, snapshot: Snapshot) -> jax.Array:
    """|W - W_0| / |W_0| of one matrix of weights, W_0 at step 0, without its bias.

    0 at the start, 1 where the weights have decayed. NaN where a network has no such
    matrix. Range [0, inf).
    """
    if snapshot.initial_params is None or array not in snapshot.params:
        return undefined()
    start = snapshot.initial_params[array]
    return ratio(norm(snapshot.params[array] - start), norm(start))


def alignment(layer: int, snapshot: Snapshot) -> jax.Array:
    """Centred alignment (CKA) of a hidden layer's activations with the targets.

    |Y' X|^2 / (|X' X| |Y' Y|) of activations X [n, N] and targets Y [n, C] on the whole
    table, both without their mean over examples: `kernels.centred_alignment` of X X'
    and Y Y', without a matrix [n, n]. Kornblith et al. (arXiv 1905.00414), Eq. 3.
    1 where examples of one class look alike and all pairs of classes equally far apart;
    of n random orthogonal examples in C equal classes sqrt((C - 1) / (n - 1)). Range
    [0, 1]; NaN for constant activations, and where a network has no such layer.
    """
    layers = snapshot.layers or (snapshot.hidden,)
    if layer > len(layers):
        return undefined()
    x, y = (_centred(values) for values in (layers[layer - 1], _targets(snapshot)))
    return ratio(_square(y, x), jnp.sqrt(_square(x, x)) * jnp.sqrt(_square(y, y)))


def _targets(snapshot: Snapshot) -> jax.Array:
    """[n, C] what the outputs should be; of classes without targets, one-hot."""
    answer = jnp.asarray(snapshot.answer)
    if answer.ndim == 1:
        return jax.nn.one_hot(answer, snapshot.logits.shape[-1])
    return answer


def _centred(values: jax.Array) -> jax.Array:
    values = unit(values)
    return values - jnp.mean(values, axis=0, keepdims=True)


def _square(one: jax.Array, two: jax.Array) -> jax.Array:
    """|A' B|^2, the squared Frobenius norm."""
    return jnp.sum(jnp.square(one.T @ two))
