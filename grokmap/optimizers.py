"""Optimizers on pytrees with traced hyperparameters, checked against optax in tests.

Hand-written because `optax.inject_hyperparams` costs time per step, and because the
per-step shrinkage of the weights, `decay_rate`, has to be known in closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from grokmap.models import Scalar, Scale
from grokmap.spec import Control

Params = Any  # a pytree of arrays


class Rates(NamedTuple):
    """Scalars of one run's update rule.

    step: what multiplies the update direction.
    decay: coefficient of theta (in the gradient if coupled, in the step if decoupled).
    decay_rate: r, the relative shrinkage of theta per step at zero loss gradient.
    """

    step: Scalar
    decay: Scalar
    decay_rate: Scalar


class Optimizer(NamedTuple):
    """controls: the control parameters it reads beside alpha, lambda and eta."""

    controls: tuple[str, ...]
    rates: Callable[[Control, Scale], Rates]
    init: Callable[[Params], Params]
    update: Callable[
        [Params, Params, Params, Control, Rates, jax.Array], tuple[Params, Params]
    ]


def gd_rates(control: Control, scale: Scale) -> Rates:
    """Step eta N / K^2 on F = L + (lambda / 2N) |theta|^2: r = eta lambda / K^2.

    Heavy-ball momentum beta divides r by (1 - beta). DESIGN 3.2.
    """
    step = control.learning_rate * scale.gd_step
    decay = control.weight_decay * scale.gd_decay
    return Rates(step, decay, step * decay / (1.0 - control.momentum))


def gd_init(params: Params) -> Params:
    """The velocity, zero at first; shapes of `params`."""
    return jax.tree.map(jnp.zeros_like, params)


def gd_update(
    grads: Params,
    velocity: Params,
    params: Params,
    control: Control,
    rates: Rates,
    step: jax.Array,
) -> tuple[Params, Params]:
    """v <- beta v + g + decay theta; theta <- theta - step v. Returns (theta, v)."""
    velocity = jax.tree.map(
        lambda v, g, theta: control.momentum * v + g + rates.decay * theta,
        velocity,
        grads,
        params,
    )
    params = jax.tree.map(lambda theta, v: theta - rates.step * v, params, velocity)
    return params, velocity


def adamw_rates(control: Control, scale: Scale) -> Rates:
    """Decoupled decay: learning rate eta / K, shrinkage r = eta lambda. DESIGN 3.2."""
    decay = control.learning_rate * control.weight_decay
    return Rates(control.learning_rate * scale.adam_step, decay, decay)


def adamw_init(params: Params) -> Params:
    """Means and squares of the gradient, zero at first; shapes of `params`."""
    zeros = jax.tree.map(jnp.zeros_like, params)
    return (zeros, zeros)


def adamw_update(
    grads: Params,
    moments: Params,
    params: Params,
    control: Control,
    rates: Rates,
    step: jax.Array,
) -> tuple[Params, Params]:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101). `step` counts from 1.

    theta <- theta - step m_hat / (sqrt(v_hat) + epsilon) - decay theta.
    """
    mean = jax.tree.map(
        lambda m, g: control.beta1 * m + (1.0 - control.beta1) * g, moments[0], grads
    )
    square = jax.tree.map(
        lambda v, g: control.beta2 * v + (1.0 - control.beta2) * jnp.square(g),
        moments[1],
        grads,
    )
    count = step.astype(jnp.float32)
    mean_correction = 1.0 - control.beta1**count
    square_correction = 1.0 - control.beta2**count

    def move(theta: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
        root = jnp.sqrt(v / square_correction) + control.epsilon
        direction = (m / mean_correction) / root
        return theta - rates.step * direction - rates.decay * theta

    return jax.tree.map(move, params, mean, square), (mean, square)


OPTIMIZERS: dict[str, Optimizer] = {
    "gd": Optimizer(("momentum",), gd_rates, gd_init, gd_update),
    "adamw": Optimizer(
        ("beta1", "beta2", "epsilon"), adamw_rates, adamw_init, adamw_update
    ),
}
