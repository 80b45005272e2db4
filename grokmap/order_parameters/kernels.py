"""The empirical neural tangent kernel on a probe set, and what it says of laziness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.order_parameters.snapshot import Snapshot, ratio, undefined, unit


def empirical_ntk(
    logits: Callable[[Any, jax.Array], jax.Array],
    params: Any,
    probe: jax.Array,
    block: int = 32,
) -> jax.Array:
    """K[x, y] = sum_c <df_c(x)/dtheta, df_c(y)/dtheta>, traced over outputs.

    For any network: Jacobians of one output on `block` rows at a time are contracted,
    so that 2 * block * |theta| numbers are held at once, whatever m and C. Jacot,
    Gabriel and Hongler (arXiv 1806.07572).

    Args:
      logits: (params, rows [k]) -> [k, C].
      probe: [m] rows.

    Returns:
      [m, m], symmetric, positive semidefinite.
    """
    m = probe.shape[0]
    n_blocks = -(-m // block)
    rows = jnp.resize(probe, (n_blocks, block))
    n_outputs = jax.eval_shape(logits, params, probe[:1]).shape[-1]

    def jacobian(rows: jax.Array, output: jax.Array) -> Any:
        def one(row: jax.Array) -> Any:
            return jax.grad(lambda theta: logits(theta, row[None])[0, output])(params)

        return jax.vmap(one)(rows)

    def contract(left: jax.Array, right: jax.Array) -> jax.Array:
        def add(output: jax.Array, total: jax.Array) -> jax.Array:
            one, two = jacobian(left, output), jacobian(right, output)
            flat = jax.tree.map(
                lambda x, y: x.reshape(block, -1) @ y.reshape(block, -1).T, one, two
            )
            return total + jax.tree.reduce(jnp.add, flat)

        return jax.lax.fori_loop(0, n_outputs, add, jnp.zeros((block, block)))

    table = jax.lax.map(
        lambda left: jax.lax.map(lambda right: contract(left, right), rows), rows
    )
    return table.transpose(0, 2, 1, 3).reshape(n_blocks * block, -1)[:m, :m]


def kernel_entries(snapshot: Snapshot) -> jax.Array:
    """[k (k + 1) / 2] the upper triangle of `Network.recorded_ntk`, row by row.

    Computed by itself: it has far fewer examples than the probe set of `ntk_drift`.
    """
    assert snapshot.network.recorded_ntk is not None
    kernel = snapshot.network.recorded_ntk(snapshot.params, snapshot.training)
    return kernel[np.triu_indices(len(kernel))]


def centred_alignment(one: jax.Array, two: jax.Array) -> jax.Array:
    """CKA <HKH, HLH> / (|HKH| |HLH|) of kernels [m, m], H = 1 - 11'/m.

    Cortes, Mohri and Rostamizadeh (arXiv 1203.0550); Kornblith et al. (arXiv
    1905.00414). 1 for equal kernels at any scale. Range [0, 1]; NaN for a constant one.
    """
    one, two = _centred(one), _centred(two)
    size = jnp.linalg.norm(one) * jnp.linalg.norm(two)
    return ratio(jnp.sum(one * two), size)


def _centred(kernel: jax.Array) -> jax.Array:
    kernel = unit(kernel)
    rows = kernel - jnp.mean(kernel, axis=0, keepdims=True)
    return rows - jnp.mean(rows, axis=1, keepdims=True)


def kernel_alignment(snapshot: Snapshot) -> jax.Array:
    """Centred alignment of the neural tangent kernel with the targets' y y'.

    The kernel is traced over outputs, on a fixed probe set of train and test examples
    (`tasks.probe`). 1 where examples of one class look alike and of two look
    orthogonal; 0 for a kernel unrelated to the labels. The diagonal counts: of n probe
    examples in C classes the identity has sqrt((C - 1)/(n - 1)) = 0.34, Gaussian
    weights 0.2. Range [0, 1]; NaN where the kernel is 0. Baratin et al. (arXiv
    2008.00938).
    """
    if snapshot.network.similarity is None:
        return undefined()
    same = snapshot.network.similarity(snapshot.training)
    return centred_alignment(snapshot.kernel, same)


def ntk_drift(snapshot: Snapshot) -> jax.Array:
    """1 - CKA(K_0, K_t): how far the kernel has turned since initialisation.

    The measured laziness: 0 for a lazy network, to rounding (1e-7) for one linear in
    its parameters, above 0.03 for a rich one. A lazy network whose initial outputs are
    large has to turn as well, to unlearn them: compare centred ones. Range [0, 1]; NaN
    where a kernel is 0. Fort et al. (arXiv 2010.15110).
    """
    if snapshot.initial_kernel is None:
        return undefined()
    alignment = centred_alignment(snapshot.initial_kernel, snapshot.kernel)
    # Rounding must not make a kernel more like the first one than itself.
    return jnp.maximum(1.0 - alignment, 0.0)
