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
from grokmap.engine.rates import control_now
from grokmap.models import Scale
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


def modified(
    system: System, grads: Any, lane: Lane, scale: Scale, key: jax.Array
) -> Any:
    """The gradient with that of the decay of sixth order, with noise, without its part
    along the weights, redistributed."""
    if "sextic_decay" in system.noisy:
        strength = control_now(system, lane).sextic_decay * scale.gd_decay
        grads = with_sextic_decay(grads, lane.params, strength)
    if "gradient_noise" in system.noisy:
        noise = noise_like(grads, jax.random.fold_in(key, 2))
        size = lane.control.gradient_noise
        grads = jax.tree.map(lambda g, xi: g + size * xi, grads, noise)
    if system.perp_grad:
        grads = without_own_direction(grads, lane.params)
    if "gradient_avalanche" in system.noisy:
        grads = redistributed(grads, lane.control.gradient_avalanche)
    return grads


def with_sextic_decay(
    grads: dict[str, Any], params: dict[str, Any], strength: Any
) -> dict[str, Any]:
    """The gradient of L + (strength / 6) sum w^6, over all arrays but readout and
    biases; strength: kappa * gd_decay, which is kappa / N with unit weights.

    Langevin dynamics then samples the prior exp(-(decay w^2 / 2 + strength w^6 / 6) /
    T) of these weights. Rubin et al. (arXiv 2310.03789) have a term of sixth order in
    the action of the hidden layer, which `theory.sextic_posterior` derives from this.
    """

    def pulled(name: str, g: Any) -> Any:
        is_free = name == "readout" or name.endswith("_bias")
        return g if is_free else g + strength * params[name] ** 5

    return {name: pulled(name, g) for name, g in grads.items()}


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
