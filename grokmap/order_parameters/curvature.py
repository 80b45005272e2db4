"""Gradient and Hessian of the training loss, without the decay term."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from grokmap.order_parameters.snapshot import Snapshot, eigenvalues, norm

RADIUS = 0.05
LANCZOS_STEPS = 6


def gradient_norm(snapshot: Snapshot) -> jax.Array:
    """|dL/dtheta|, L the training loss. 0 at a minimum. Range [0, inf)."""
    return norm(snapshot.loss_and_gradient[1])


def sharpness(snapshot: Snapshot) -> jax.Array:
    """L(theta + rho g/|g|) - L(theta), g the gradient of L, rho = 0.05 |theta|.

    One ascent step of sharpness-aware minimisation (Foret et al., arXiv 2010.01412);
    its radius is relative, since weights shrink along a run. rho |g| + rho^2 h / 2 for
    a quadratic of curvature h along g. Range above -L; NaN where g or theta is 0.
    """
    before, gradient = snapshot.loss_and_gradient
    size, radius = norm(gradient), RADIUS * norm(snapshot.params)
    step = radius / jnp.where((size == 0) | (radius == 0), jnp.nan, size)
    moved = jax.tree.map(lambda theta, g: theta + step * g, snapshot.params, gradient)
    after, _ = snapshot.network.gradient(moved, snapshot.training)
    return after - before


def hessian_top(snapshot: Snapshot) -> jax.Array:
    """Largest eigenvalue of the Hessian of L, by 6 steps of Lanczos' iteration.

    From a fixed random vector, with full reorthogonalisation; from below, and within a
    few percent where few eigenvalues stand out (4 % along the runs of
    sweeps/order-parameters.toml; starting from the gradient was no better). h for
    L = h theta^2 / 2. Gradient descent of step eta is stable below 2 (1 + beta) / eta
    (Cohen et al., arXiv 2103.00065).
    Any sign. NaN where the Hessian is not finite.
    """
    params, unravel = ravel_pytree(snapshot.params)

    def gradient(vector: jax.Array) -> jax.Array:
        grads = snapshot.network.gradient(unravel(vector), snapshot.training)[1]
        return ravel_pytree(grads)[0]

    def times_hessian(vector: jax.Array) -> jax.Array:
        return jax.jvp(gradient, (params,), (vector,))[1]

    return largest_eigenvalue(times_hessian, params.shape[0], LANCZOS_STEPS)


def largest_eigenvalue(
    product: Callable[[jax.Array], jax.Array], size: int, steps: int
) -> jax.Array:
    """Largest eigenvalue of a symmetric operator [size] -> [size], from below.

    Lanczos (1950). Exact, up to rounding, once `steps` reaches the number of distinct
    eigenvalues.
    """
    steps = min(steps, size)
    start = jax.random.normal(jax.random.key(0), (size,))
    basis = jnp.zeros((steps, size)).at[0].set(start / jnp.linalg.norm(start))
    zeros = jnp.zeros(steps)

    def advance(
        i: jax.Array, state: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        basis, diagonal, beside = state
        image = product(basis[i])
        scale = jnp.linalg.norm(image)
        diagonal = diagonal.at[i].set(jnp.vdot(basis[i], image))
        # Twice, since rounding leaves a part of the basis in after once.
        for _ in range(2):
            image = image - basis.T @ (basis @ image)
        size = jnp.linalg.norm(image)
        # The Krylov space is complete: what is left is rounding, not a direction.
        size = jnp.where(size > 1e-5 * scale, size, 0.0)
        following = image / jnp.where(size == 0, 1.0, size) * (size > 0)
        last = i + 1 == steps
        place = jnp.minimum(i + 1, steps - 1)
        basis = basis.at[place].set(jnp.where(last, basis[place], following))
        beside = beside.at[i].set(jnp.where(last, 0.0, size))
        return basis, diagonal, beside

    _, diagonal, beside = jax.lax.fori_loop(0, steps, advance, (basis, zeros, zeros))
    known = jnp.isfinite(jnp.sum(diagonal) + jnp.sum(beside))
    # After a breakdown the rest of the matrix is 0: it must not pass for an eigenvalue.
    reached = jnp.cumprod(jnp.append(1.0, beside[:-1]) > 0)
    diagonal = jnp.where(reached > 0, diagonal, diagonal[0])
    matrix = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
    top = eigenvalues(jnp.where(known, matrix, 0.0))[-1]
    return jnp.where(known, top, jnp.nan)
