"""Optimizers on pytrees with traced hyperparameters, checked against optax in tests.

gd and adamw are written out, though `optax.trace` and `optax.scale_by_adam` take traced
numbers too: they add the same terms in another order, and where a compiler fuses
products into sums, trajectories then differ from the published ones (by 1e-6 of a
value after 400 steps).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from grokmap.models import Scale
from grokmap.spec import Control

Params = Any  # a pytree of arrays
TINY = 1e-30


class Rates(NamedTuple):
    """Of one run's update rule: scalars, traced; or, where arrays of the network have
    rates of their own, pytrees like params.

    step: what multiplies the update direction.
    decay: coefficient of theta (in the gradient if coupled, in the step if decoupled).
    """

    step: Any
    decay: Any


class Update(NamedTuple):
    """What an update rule looks at beside gradient, state and weights.

    step: counts from 1. key: of this step's noise.
    """

    control: Control
    rates: Rates
    step: jax.Array
    key: jax.Array


OwnRates = Callable[[Rates, Params, Control], Rates]


class Optimizer(NamedTuple):
    """One entry of the table of update rules.

    controls: the control parameters it reads beside alpha, lambda and eta.
    rates: (control, scale) -> scalar `Rates`.
    decay_rate: r, the relative shrinkage of the weights per step at zero loss gradient;
    on floats of the host.
    update: (gradient, state, params, `Update`) -> (params, state).
    own_rates: (rates, params, control) -> rates array by array; None: all alike.
    decays: whether it reads lambda at all.
    has_decay_time: whether lambda alone shrinks the weights at a rate; else a horizon
      in decay times says nothing, and `decay_rate` is 0.
    is_linear: whether its step is proportional to the gradients, so that the curvature
      says which steps are stable.
    needs_hidden: whether it is for matrices between hidden layers.
    mup_rates: as own_rates, where the parameterisation is mup; None: not known.
    """

    controls: tuple[str, ...]
    rates: Callable[[Control, Scale], Rates]
    decay_rate: Callable[[Control, Scale], float]
    init: Callable[[Params], Params]
    update: Callable[[Params, Params, Params, Update], tuple[Params, Params]]
    own_rates: OwnRates | None = None
    decays: bool = True
    has_decay_time: bool = True
    needs_hidden: bool = False
    is_linear: bool = False
    mup_rates: OwnRates | None = None


def _of_each(rate: Any, params: Params) -> Params:
    """A rate for each array of params: the scalar, or its own."""
    return jax.tree.broadcast(rate, params)


def gd_rates(control: Control, scale: Scale) -> Rates:
    """Step eta * gd_step on F = L + (lambda * gd_decay / 2) |theta|^2.

    With unit weights: eta N / K^2 and lambda / N, K being `Scale.laziness`.
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
    grads: Params, velocity: Params, params: Params, at: Update
) -> tuple[Params, Params]:
    """v <- beta v + g + decay theta; theta <- theta - step v. Returns (theta, v)."""
    momentum = at.control.momentum
    velocity = jax.tree.map(
        lambda v, g, theta, decay: momentum * v + g + decay * theta,
        velocity,
        grads,
        params,
        _of_each(at.rates.decay, params),
    )
    params = jax.tree.map(
        lambda theta, v, step: theta - step * v,
        params,
        velocity,
        _of_each(at.rates.step, params),
    )
    return params, velocity


def _times(rate: Any, params: Params, factors: Mapping[str, float]) -> Params:
    """A rate for each array of params: the scalar, times the factor of some arrays."""
    return {k: rate * factors[k] if k in factors else rate for k in params}


def gd_mup_rates(rates: Rates, params: Params, control: Control) -> Rates:
    """Rates of maximal update (Yang and Hu, arXiv 2011.14522), array by array.

    With unit weights one step for all moves every layer, and f, at a speed that does
    not depend on N, at any depth: their abc-symmetry takes (a, b, c) = (0, 1/2, 0) of a
    hidden matrix to (1/2, 0, -1), which is W / sqrt(N), W ~ N(0, 1), a step of eta N.
    All but the readout's bias, one term beside a sum over N neurons: its step is N
    times larger here, and its coefficient of decay N times smaller, so that its
    shrinkage, step * decay, is that of all arrays.
    """
    width = params["readout"].shape[1]
    return Rates(
        _times(rates.step, params, {"readout_bias": width}),
        _times(rates.decay, params, {"readout_bias": 1.0 / width}),
    )


def langevin_decay_rate(control: Control, scale: Scale) -> float:
    """r = eta lambda N^(-2 alpha): that of descent without momentum."""
    rates = gd_rates(control, scale)
    return float(rates.step) * float(rates.decay)


def langevin_update(
    grads: Params, state: Params, params: Params, at: Update
) -> tuple[Params, Params]:
    """theta <- theta - step (g + decay theta) + sqrt(2 step T) xi, xi ~ N(0, 1).

    Unadjusted Langevin dynamics (Welling and Teh 2011): for small steps it samples
    exp(-F / T), F = L + (decay/2) |theta|^2; so T is the variance sigma^2 of the
    posterior of Rubin et al. (arXiv 2310.03789) up to the scale of their loss.
    """
    noise = noise_like(params, at.key)

    def move(
        theta: jax.Array, g: jax.Array, xi: jax.Array, step: Any, decay: Any
    ) -> jax.Array:
        kick = jnp.sqrt(2.0 * step * at.control.temperature) * xi
        return theta - step * (g + decay * theta) + kick

    steps, decays = (_of_each(rate, params) for rate in at.rates)
    return jax.tree.map(move, params, grads, noise, steps, decays), state


def noise_like(tree: Params, key: jax.Array) -> Params:
    """Independent N(0, 1) in the place of every number of a pytree."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    draws = [jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, draws)


def adamw_rates(control: Control, scale: Scale) -> Rates:
    """Decoupled decay: learning rate eta * adam_step, decay eta lambda.

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
    grads: Params, moments: Params, params: Params, at: Update
) -> tuple[Params, Params]:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101).

    theta <- theta - step m_hat / (sqrt(v_hat) + epsilon) - decay theta.
    """
    control = at.control
    mean = jax.tree.map(
        lambda m, g: control.beta1 * m + (1.0 - control.beta1) * g, moments[0], grads
    )
    square = jax.tree.map(
        lambda v, g: control.beta2 * v + (1.0 - control.beta2) * jnp.square(g),
        moments[1],
        grads,
    )
    mean_hat = optax.tree.bias_correction(mean, control.beta1, at.step)
    square_hat = optax.tree.bias_correction(square, control.beta2, at.step)
    direction = jax.tree.map(
        lambda m, v: m / (jnp.sqrt(v) + control.epsilon), mean_hat, square_hat
    )
    return _moved(params, direction, at.rates), (mean, square)


def _moved(params: Params, direction: Params, rates: Rates) -> Params:
    """theta - step direction - decay theta: a step with decoupled weight decay."""

    def move(theta: jax.Array, turn: jax.Array, step: Any, decay: Any) -> jax.Array:
        return theta - step * turn - decay * theta

    steps, decays = (_of_each(rate, params) for rate in rates)
    return jax.tree.map(move, params, direction, steps, decays)


def adam_rates(control: Control, scale: Scale) -> Rates:
    """Learning rate eta * adam_step, no decay."""
    return adamw_rates(control, scale)._replace(decay=0.0)


def adam_mup_rates(rates: Rates, params: Params, control: Control) -> Rates:
    """Rates of maximal update, array by array, for steps whose size no gradient sets.

    Yang et al. (arXiv 2203.03466), Table 3: where every entry of a matrix between
    hidden layers moves by s, and with the same sign as the activations that it
    multiplies, pre-activations move by s sqrt(N); so its step is sqrt(N) smaller here,
    and that of the readout's bias N times larger. Decoupled decay stays eta lambda for
    every array, so that all forget at one rate (Wang and Aitchison, arXiv 2405.13698).
    """
    width = params["readout"].shape[1]
    hidden, _ = _split(params)
    factors = {"readout_bias": width, **dict.fromkeys(hidden, width**-0.5)}
    return rates._replace(step=_times(rates.step, params, factors))


def _split(tree: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Matrices between hidden layers, and all other arrays."""
    hidden = {k: v for k, v in tree.items() if k.startswith("hidden_") and v.ndim == 2}
    return hidden, {k: v for k, v in tree.items() if k not in hidden}


def muon_init(params: Params) -> Params:
    """State of optax's Muon for hidden matrices, AdamW's for all else."""
    hidden, rest = _split(params)
    muon = optax.contrib.scale_by_muon()
    return {k: muon.init(v) for k, v in hidden.items()}, adamw_init(rest)


def muon_own_rates(rates: Rates, params: Params, control: Control) -> Rates:
    """Array by array: what is no hidden matrix steps at `adam_learning_rate`."""
    steps, decays = (_of_each(rate, params) for rate in rates)
    share = control.adam_learning_rate / control.learning_rate
    _, rest = _split(params)
    return Rates({k: v * share if k in rest else v for k, v in steps.items()}, decays)


def muon_update(
    grads: Params, state: Params, params: Params, at: Update
) -> tuple[Params, Params]:
    """Muon (Jordan et al. 2024) on hidden matrices, AdamW on all else.

    theta <- theta - step sqrt(max(1, fan_out / fan_in)) O(m) - decay theta, m the
    average of the gradient at `momentum` (Nesterov's), O the 5 Newton-Schulz steps of
    `optax.contrib`, which take singular values above 0.005 of the Frobenius norm into
    [0.68, 1.16]. Rates are those of `muon_own_rates`; everything decays at eta lambda.
    """
    (hidden, rest), (of_hidden, of_rest) = _split(params), _split(grads)
    muon = optax.contrib.scale_by_muon(beta=at.control.momentum)
    # One array at a time: of a dict, optax 0.2.8 asks for its dimensions.
    turned = {k: muon.update(g, state[0][k]) for k, g in of_hidden.items()}
    steps, decays = (_of_each(rate, params) for rate in at.rates)

    def move(name: str, direction: jax.Array) -> jax.Array:
        theta = hidden[name]
        shape = max(1.0, theta.shape[1] / theta.shape[0]) ** 0.5
        return theta - steps[name] * shape * direction - decays[name] * theta

    rest_rates = Rates(*({k: rates[k] for k in rest} for rates in (steps, decays)))
    of_adam = at._replace(rates=rest_rates)
    rest, moments = adamw_update(of_rest, state[1], rest, of_adam)
    moved = {k: move(k, direction) for k, (direction, _) in turned.items()}
    return {**rest, **moved}, ({k: v for k, (_, v) in turned.items()}, moments)


def lion_update(
    grads: Params, state: Params, params: Params, at: Update
) -> tuple[Params, Params]:
    """Lion (Chen et al., arXiv 2302.06675): the sign of an average of gradients.

    theta <- theta - step sign(beta1 m + (1 - beta1) g) - decay theta, m the average of
    g at beta2.
    """
    lion = optax.scale_by_lion(at.control.beta1, at.control.beta2)
    direction, state = lion.update(grads, state)
    return _moved(params, direction, at.rates), state


def adam_l2_rates(control: Control, scale: Scale) -> Rates:
    """Learning rate eta * adam_step; decay as of gd, a coefficient in the gradient."""
    return adam_rates(control, scale)._replace(decay=gd_rates(control, scale).decay)


def adam_l2_update(
    grads: Params, moments: Params, params: Params, at: Update
) -> tuple[Params, Params]:
    """Adam of the gradient of L + (decay/2) |theta|^2: PyTorch's `Adam(weight_decay)`.

    g <- g + decay theta, then theta <- theta - step m_hat / (sqrt(v_hat) + epsilon).
    """
    decays = _of_each(at.rates.decay, params)
    grads = jax.tree.map(lambda g, w, decay: g + decay * w, grads, params, decays)
    alone = at._replace(rates=at.rates._replace(decay=0.0))
    return adamw_update(grads, moments, params, alone)


ADAM_CONTROLS = ("beta1", "beta2", "epsilon")
OPTIMIZERS: dict[str, Optimizer] = {
    "gd": Optimizer(
        ("momentum",),
        gd_rates,
        gd_decay_rate,
        gd_init,
        gd_update,
        is_linear=True,
        mup_rates=gd_mup_rates,
    ),
    "adamw": Optimizer(
        ADAM_CONTROLS,
        adamw_rates,
        adamw_decay_rate,
        adamw_init,
        adamw_update,
        mup_rates=adam_mup_rates,
    ),
    "adam": Optimizer(
        ADAM_CONTROLS,
        adam_rates,
        lambda control, scale: 0.0,
        adamw_init,
        adamw_update,
        decays=False,
        mup_rates=adam_mup_rates,
    ),
    "adam_l2": Optimizer(
        ADAM_CONTROLS,
        adam_l2_rates,
        # Adam turns what the decay adds to the gradient into steps of one size.
        lambda control, scale: 0.0,
        adamw_init,
        adam_l2_update,
        has_decay_time=False,
    ),
    "muon": Optimizer(
        ("momentum", "adam_learning_rate", *ADAM_CONTROLS),
        adamw_rates,
        adamw_decay_rate,
        muon_init,
        muon_update,
        own_rates=muon_own_rates,
        needs_hidden=True,
    ),
    "lion": Optimizer(
        ("beta1", "beta2"),
        adamw_rates,
        adamw_decay_rate,
        optax.scale_by_lion().init,
        lion_update,
        mup_rates=adam_mup_rates,
    ),
    "langevin": Optimizer(
        ("temperature",),
        gd_rates,
        langevin_decay_rate,
        lambda params: (),
        langevin_update,
        is_linear=True,
    ),
}


def without_own_direction(grads: Params, params: Params) -> Params:
    """Each gradient array without its part along the weights, at its own size.

    g - (w.g / w.w) w, rescaled to |g|: the perpendicular gradient of Prieto et al.
    (arXiv 2501.04697), which does not move weights along rays of equal predictions.
    """

    def project(g: jax.Array, w: jax.Array) -> jax.Array:
        left = g - jnp.vdot(w, g) / (jnp.vdot(w, w) + TINY) * w
        return left * (jnp.linalg.norm(g) / (jnp.linalg.norm(left) + TINY))

    return jax.tree.map(project, grads, params)
