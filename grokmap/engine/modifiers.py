"""What is done to gradients and weights beside the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grokmap import filters
from grokmap.engine.inline import redistributed
from grokmap.engine.lane import Lane
from grokmap.optimizers import TINY, noise_like, without_own_direction
from grokmap.spec import System


def sharp_point(system: System, lane: Lane, gradient: Callable[[Any], Any]) -> Any:
    """The weights at which the gradient of a step is taken.

    With `sam_radius` rho (sharpness-aware minimisation, Foret et al., arXiv 2010.01412)
    theta + rho g / |g|, g the gradient at theta on the same examples; else theta.
    """
    if "sam_radius" not in system.noisy:
        return lane.params
    grads = gradient(lane.params)
    share = lane.control.sam_radius / (optax.tree.norm(grads) + TINY)
    return jax.tree.map(lambda theta, g: theta + share * g, lane.params, grads)


def modified(system: System, grads: Any, lane: Lane, key: jax.Array) -> Any:
    """The gradient with noise, without its part along the weights, redistributed."""
    if "gradient_noise" in system.noisy:
        noise = noise_like(grads, jax.random.fold_in(key, 2))
        size = lane.control.gradient_noise
        grads = jax.tree.map(lambda g, xi: g + size * xi, grads, noise)
    if system.perp_grad:
        grads = without_own_direction(grads, lane.params)
    if "gradient_avalanche" in system.noisy:
        grads = redistributed(grads, lane.control.gradient_avalanche)
    return grads


def remembered(system: System, grads: Any, lane: Lane) -> tuple[Lane, Any]:
    """The gradient with what is slow in it amplified; see `filters.amplified`."""
    if "filter_strength" not in system.noisy:
        return lane, grads
    control = lane.control
    grads, memory = filters.amplified(
        grads,
        lane.memory,
        lane.step,
        control.filter_strength,
        control.filter_decay,
        system.filter_window,
    )
    return lane._replace(memory=memory), grads


def clamped(system: System, params: Any, lane: Lane) -> Any:
    """Weights after a step: from step `norm_clamp_step` on, of norm `norm_clamp` times
    that of the initial ones, all arrays by one factor."""
    if "norm_clamp" not in system.noisy:
        return params
    control = lane.control
    wanted: Any = lane.initial_norm
    factor = control.norm_clamp * wanted / (optax.tree.norm(params) + TINY)
    factor = jnp.where(lane.step >= control.norm_clamp_step, factor, 1.0)
    return jax.tree.map(lambda theta: factor * theta, params)
