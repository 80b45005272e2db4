from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import mostly_slow

from grokmap.analysis import chains
from grokmap.models import ALPHA_CONVENTIONS
from grokmap.optimizers import (
    OPTIMIZERS,
    Rates,
    Update,
    without_own_direction,
)
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
    adam_learning_rate=0.003,
)


def reference(name: str, rates: Rates) -> optax.GradientTransformation:
    if name == "gd":
        decay = optax.add_decayed_weights(rates.decay)
        return optax.chain(decay, optax.sgd(rates.step, CONTROL.momentum))
    if name == "langevin":  # at T = 0
        return optax.chain(
            optax.add_decayed_weights(rates.decay), optax.sgd(rates.step)
        )
    betas = (CONTROL.beta1, CONTROL.beta2)
    if name == "lion":
        return optax.lion(rates.step, *betas, weight_decay=rates.decay / rates.step)
    if name == "muon":
        return muon_by_optax(rates)
    if name == "adam_l2":
        decay = optax.add_decayed_weights(rates.decay)
        return optax.chain(decay, optax.adam(rates.step, *betas, CONTROL.epsilon))
    decay = rates.decay / rates.step
    return optax.adamw(rates.step, *betas, CONTROL.epsilon, weight_decay=decay)


def muon_by_optax(rates: Rates) -> optax.GradientTransformation:
    """optax's own Muon, with AdamW (which there has Nesterov's momentum) apart."""
    share = CONTROL.adam_learning_rate / CONTROL.learning_rate
    return optax.partition(
        {
            "muon": optax.contrib.muon(
                rates.step,
                beta=CONTROL.momentum,
                weight_decay=rates.decay / rates.step,
            ),
            "adam": optax.adamw(
                rates.step * share,
                CONTROL.beta1,
                CONTROL.beta2,
                CONTROL.epsilon,
                weight_decay=rates.decay / rates.step / share,
            ),
        },
        lambda params: {
            k: "muon" if k.startswith("hidden") else "adam" for k in params
        },
    )


def start() -> dict[str, jax.Array]:
    first, readout, hidden = jax.random.normal(jax.random.key(0), (3, 4, 3))
    return {"first": first, "readout": readout, "hidden_2": hidden}


def own(name: str, rates: Rates, control: Control) -> Rates:
    """Rates as an optimizer wants them."""
    own_rates = OPTIMIZERS[name].own_rates
    return rates if own_rates is None else own_rates(rates, start(), control)


def at(step: int, control: Control, rates: Rates) -> Update:
    return Update(control, rates, jnp.int32(step + 1), jax.random.key(step))


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
            gradient(ours, step),
            state,
            ours,
            at(step, CONTROL, own(name, rates, CONTROL)),
        )
        updates, their_state = transform.update(
            gradient(theirs, step), their_state, theirs
        )
        theirs = optax.apply_updates(theirs, updates)
        for key in ours:
            np.testing.assert_allclose(ours[key], theirs[key], rtol=2e-5, atol=2e-6)
        # Each step from the same point: differences must not be allowed to add up.
        ours = theirs


WITH_DECAY_TIME = [k for k, entry in OPTIMIZERS.items() if entry.has_decay_time]


@pytest.mark.parametrize(
    "name", mostly_slow(WITH_DECAY_TIME, set(OPTIMIZERS) - {"muon"})
)
def test_decay_rate_is_the_shrinkage_at_zero_gradient(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    control = CONTROL._replace(weight_decay=0.05)
    rates = own(name, optimizer.rates(control, SCALE), control)
    params = start()
    state = optimizer.init(params)
    zero = jax.tree.map(jnp.zeros_like, params)
    sizes = []
    for step in range(400):
        params, state = optimizer.update(zero, state, params, at(step, control, rates))
        sizes.append(float(jnp.linalg.norm(params["hidden_2"])))
    # Momentum delays the decay at first; r is the late slope.
    shrinkage = 1 - (sizes[-1] / sizes[199]) ** (1 / 200)
    expected = optimizer.decay_rate(control, SCALE)
    assert shrinkage == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert (expected > 0) == optimizer.decays


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


def test_embeddings_may_have_rates_of_their_own() -> None:
    """`Rates` as pytrees: each array by its own step and decay."""
    params = start()
    grads = gradient(params, 0)
    own = {"first": 0.1, "readout": 0.2, "hidden_2": 0.0}
    decay = {"first": 0.0, "readout": 0.3, "hidden_2": 0.5}
    for name in ("gd", "adamw", "langevin"):
        optimizer = OPTIMIZERS[name]
        rates = Rates(own, decay)
        moved, _ = optimizer.update(
            grads, optimizer.init(params), params, at(0, CONTROL, rates)
        )
        for key in params:
            alone = {key: params[key]}
            expected, _ = optimizer.update(
                {key: grads[key]},
                optimizer.init(alone),
                alone,
                at(0, CONTROL, Rates(own[key], decay[key])),
            )
            np.testing.assert_allclose(moved[key], expected[key], rtol=1e-6)


def test_langevin_samples_its_stationary_law() -> None:
    # F = c theta^2 / 2, c = stiffness + decay: variance T / c / (1 - step c / 2).
    control = CONTROL._replace(temperature=0.3)
    rates, stiffness = Rates(0.1, 0.5), 1.0
    optimizer = OPTIMIZERS["langevin"]

    def step(theta: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        key = jax.random.fold_in(jax.random.key(1), number)
        seen = Update(control, rates, number, key)
        grads = {"w": stiffness * theta}
        moved, _ = optimizer.update(grads, (), {"w": theta}, seen)
        return moved["w"], moved["w"]

    _, path = jax.lax.scan(step, jnp.zeros(2000), jnp.arange(400))
    expected = 0.3 / 1.5 / (1 - 0.1 * 1.5 / 2)
    assert float(jnp.var(path[200:])) == pytest.approx(expected, rel=0.02)


def test_langevin_has_the_covariance_of_a_harmonic_well() -> None:
    # F = theta.H theta / 2, H with the decay: T H^-1 (1 - step H / 2)^-1 at any step.
    rates, temperature = Rates(0.2, 0.5), 0.3
    control = CONTROL._replace(temperature=temperature)
    loss = jnp.array([[1.5, 0.6], [0.6, 0.4]])
    hessian = np.asarray(loss, float) + 0.5 * np.eye(2)
    optimizer = OPTIMIZERS["langevin"]

    def step(theta: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        key = jax.random.fold_in(jax.random.key(2), number)
        seen = Update(control, rates, number, key)
        moved, _ = optimizer.update({"w": theta @ loss}, (), {"w": theta}, seen)
        return moved["w"], moved["w"]

    _, path = jax.lax.scan(step, jnp.zeros((500, 2)), jnp.arange(600))
    values = np.asarray(path[100:], float)  # [t, chains, 2]
    expected = temperature * np.linalg.inv(hessian @ (np.eye(2) - 0.1 * hessian))
    for i, j in ((0, 0), (0, 1), (1, 1)):
        found = chains.summary((values[..., i] * values[..., j]).T)
        assert abs(found.mean - expected[i, j]) < 4 * found.error
        assert found.error < 0.02 * abs(expected[i, j]) and found.r_hat < 1.01
    # Off from T H^-1 by the step, as far as these draws tell.
    plain = temperature * np.linalg.inv(hessian)
    assert abs(expected[1, 1] / plain[1, 1] - 1) > 0.05


def test_gradient_without_its_part_along_the_weights() -> None:
    params = start()
    grads = gradient(params, 3)
    turned = without_own_direction(grads, params)
    for key in params:
        g, w, left = grads[key], params[key], turned[key]
        assert abs(float(jnp.vdot(left, w))) < 1e-5 * float(jnp.linalg.norm(w))
        assert float(jnp.linalg.norm(left)) == pytest.approx(
            float(jnp.linalg.norm(g)), rel=1e-5
        )
        # What is left lies in the plane of the gradient and the weights.
        plane = jnp.stack([g.ravel(), w.ravel()], axis=1)
        rest = np.linalg.lstsq(plane, left.ravel(), rcond=None)[1]
        assert float(rest[0]) < 1e-9
