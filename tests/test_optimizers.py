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
    # Momentum delays the decay at first; r is the late slope.
    shrinkage = 1 - (sizes[-1] / sizes[199]) ** (1 / 200)
    assert shrinkage == pytest.approx(optimizer.decay_rate(control, SCALE), rel=1e-3)


@pytest.mark.parametrize("size", [1e-12, 1e-3, 2e-2, 0.1, 0.5, 3.7])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_decay_rate_is_the_slowest_root(size: float, momentum: float) -> None:
    # theta' = theta - v', v' = beta v + d theta, as a matrix.
    control = CONTROL._replace(learning_rate=1.0, momentum=momentum, weight_decay=size)
    rates = OPTIMIZERS["gd"].rates(control, SCALE)
    d = rates.step * rates.decay
    matrix = np.array([[1 - d, -momentum], [d, momentum]])
    slowest = max(abs(np.linalg.eigvals(matrix)))
    expected = max(0.0, 1 - slowest)
    found = OPTIMIZERS["gd"].decay_rate(control, SCALE)
    assert found == pytest.approx(expected, rel=1e-9 if size > 1e-6 else 1e-3)


def test_rates_are_the_formulas_of_the_design() -> None:
    gd = OPTIMIZERS["gd"].rates(CONTROL, SCALE)
    n, alpha = 16, 0.3
    assert gd.step == pytest.approx(0.01 * n ** (1 - 2 * alpha))
    small = CONTROL._replace(weight_decay=1e-5)
    rate = OPTIMIZERS["gd"].decay_rate(small, SCALE)
    assert rate == pytest.approx(0.01 * 1e-5 * n ** (-2 * alpha) / (1 - 0.9), rel=1e-4)
    adamw = OPTIMIZERS["adamw"].rates(CONTROL, SCALE)
    assert adamw.step == pytest.approx(0.01 * n**-alpha)
    assert adamw.decay == OPTIMIZERS["adamw"].decay_rate(CONTROL, SCALE) == 0.01 * 0.2
