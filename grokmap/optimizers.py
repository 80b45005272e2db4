"""Optimizers on pytrees with traced hyperparameters, checked against optax in tests.

Hand-written because `optax.inject_hyperparams` costs time per step, and because the
per-step shrinkage of the weights, `decay_rate`, has to be known in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from grokmap.models import Scalar, Scale
from grokmap.spec import Control

Params = Any  # a pytree of arrays


class Rates(NamedTuple):
    """Scalars of one run's update rule, traced.

    step: what multiplies the update direction.
    decay: coefficient of theta (in the gradient if coupled, in the step if decoupled).
    """

    step: Scalar
    decay: Scalar


class Optimizer(NamedTuple):
    """controls: the control parameters it reads beside alpha, lambda and eta.

    decay_rate: r, the relative shrinkage of the weights per step at zero loss gradient;
    on floats of the host.
    """

    controls: tuple[str, ...]
    rates: Callable[[Control, Scale], Rates]
    decay_rate: Callable[[Control, Scale], float]
    init: Callable[[Params], Params]
    update: Callable[
        [Params, Params, Params, Control, Rates, jax.Array], tuple[Params, Params]
    ]


def gd_rates(control: Control, scale: Scale) -> Rates:
    """Step eta * gd_step on F = L + (lambda * gd_decay / 2) |theta|^2.

    With unit weights: eta N / K^2 and lambda / N (DESIGN 3.2).
    """
    return Rates(
        control.learning_rate * scale.gd_step, control.weight_decay * scale.gd_decay
    )


def gd_decay_rate(control: Control, scale: Scale) -> float:
    """r of heavy-ball descent: eta lambda N^(-2 alpha) / (1 - beta) where it is small.

    Exactly, 1 minus the larger root of z^2 - (1 + beta - step * decay) z + beta, or
    1 - sqrt(beta) where the roots are complex. 0 where the weights would grow.
    """
    rates = gd_rates(control, scale)
    beta = control.momentum
    trace = 1 + beta - float(rates.step) * float(rates.decay)
    discriminant = trace**2 - 4 * beta
    if discriminant < 0:
        return 1 - math.sqrt(beta)
    if trace < 0:
        return max(0.0, 1 - (math.sqrt(discriminant) - trace) / 2)
    # 1 - larger root, without taking the difference of two numbers near 1.
    d = 1 + beta - trace
    return 2 * d / (1 - beta + d + math.sqrt(discriminant))


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
    """Decoupled decay: learning rate eta * adam_step, decay eta lambda (DESIGN 3.2).

    epsilon is not scaled: gradients go as `Scale.prefactor`, so keep it far below.
    """
    decay = control.learning_rate * control.weight_decay
    return Rates(control.learning_rate * scale.adam_step, decay)


def adamw_decay_rate(control: Control, scale: Scale) -> float:
    """r = eta lambda, whatever alpha."""
    return float(control.learning_rate * control.weight_decay)


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
    "gd": Optimizer(("momentum",), gd_rates, gd_decay_rate, gd_init, gd_update),
    "adamw": Optimizer(
        ("beta1", "beta2", "epsilon"),
        adamw_rates,
        adamw_decay_rate,
        adamw_init,
        adamw_update,
    ),
}
