from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grokmap.models import ALPHA_CONVENTIONS
from grokmap.optimizers import OPTIMIZERS, Rates
from grokmap.spec import Control

SCALE = ALPHA_CONVENTIONS["laziness"].scale(0.3, 16, 3, 14)
CONTROL = Control(
    alpha=0.3,
    weight_decay=0.2,
    train_fraction=0.5,
    learning_rate=0.01,
    momentum=0.9,
    beta1=0.8,
    beta2=0.98,
    epsilon=1e-6,
)


def reference(name: str, rates: Rates) -> optax.GradientTransformation:
    if name == "gd":
        decay = optax.add_decayed_weights(rates.decay)
        return optax.chain(decay, optax.sgd(rates.step, CONTROL.momentum))
    betas = (CONTROL.beta1, CONTROL.beta2)
    decay = rates.decay / rates.step
    return optax.adamw(rates.step, *betas, CONTROL.epsilon, weight_decay=decay)


def start() -> dict[str, jax.Array]:
    first, readout = jax.random.normal(jax.random.key(0), (2, 4, 3))
    return {"first": first, "readout": readout}


def gradient(params: Any, step: int) -> Any:
    """A bumpy gradient that depends on parameters and step."""
    return jax.tree.map(lambda w: jnp.sin(3 * w + step) + 0.1 * w, params)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_equals_optax(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    rates = optimizer.rates(CONTROL, SCALE)
    ours = theirs = start()
    state, transform = optimizer.init(ours), reference(name, rates)
    their_state = transform.init(theirs)
    for step in range(30):
        ours, state = optimizer.update(
            gradient(ours, step), state, ours, CONTROL, rates, jnp.int32(step + 1)
        )
        updates, their_state = transform.update(
            gradient(theirs, step), their_state, theirs
        )
        theirs = optax.apply_updates(theirs, updates)
        for key in ours:
            np.testing.assert_allclose(ours[key], theirs[key], rtol=2e-5, atol=2e-6)
        # Each step from the same point: differences must not be allowed to add up.
        ours = theirs


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_rate_is_the_shrinkage_at_zero_gradient(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    control = CONTROL._replace(weight_decay=0.05)
    rates = optimizer.rates(control, SCALE)
    params = start()
    state = optimizer.init(params)
    zero = jax.tree.map(jnp.zeros_like, params)
    sizes = []
    for step in range(400):
        params, state = optimizer.update(
            zero, state, params, control, rates, jnp.int32(step + 1)
        )
        sizes.append(float(jnp.linalg.norm(params["first"])))
    # Momentum delays the decay at first; the slope is the late one.
    slope = np.log(sizes[-1] / sizes[199]) / 200
    # r to first order in r; beta / (1 - beta) = 9 steps of memory correct it.
    correction = 1 + 10 * float(rates.decay_rate)
    assert slope == pytest.approx(-float(rates.decay_rate) * correction, rel=0.02)


def test_rates_are_the_formulas_of_the_design() -> None:
    gd = OPTIMIZERS["gd"].rates(CONTROL, SCALE)
    n, alpha = 16, 0.3
    assert gd.step == pytest.approx(0.01 * n ** (1 - 2 * alpha))
    assert gd.decay_rate == pytest.approx(0.01 * 0.2 * n ** (-2 * alpha) / (1 - 0.9))
    adamw = OPTIMIZERS["adamw"].rates(CONTROL, SCALE)
    assert adamw.step == pytest.approx(0.01 * n**-alpha)
    assert adamw.decay_rate == pytest.approx(0.01 * 0.2)
