"""The decay of sixth order: its step, its prior, and the law of neurons under it."""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL

from grokmap import plan
from grokmap.engine.modifiers import with_sextic_decay
from grokmap.engine.train import build
from grokmap.errors import SpecError
from grokmap.plan import read_sweep
from grokmap.spec import Control
from grokmap.spec.words import control_at
from grokmap.theory import modular_posterior, rubin, sextic_posterior
from grokmap.theory.modular_posterior import Modular
from grokmap.theory.sextic_posterior import Draws

GAMMA = 3 / 16


@lru_cache(maxsize=4)
def draws(gamma: float = GAMMA, n: int = 4000, seed: int = 0) -> Draws:
    return sextic_posterior.draw(7, gamma, n, seed)


def setting(noise: float) -> Modular:
    """u a^2 is (4 gamma / 3)^(1/2) at a = -1 and sigma^2 = 0.001."""
    return Modular(7, 400, noise, (0.001 / 7) ** 2 * np.sqrt(4 * GAMMA / 3))


def test_the_gradient_is_that_of_the_sum_of_sixth_powers() -> None:
    rng = np.random.default_rng(0)
    names = ("first", "first_bias", "hidden_2", "readout")
    params = {name: rng.normal(size=(2, 3)) for name in names}
    found = with_sextic_decay(dict.fromkeys(names, 1.0), params, 0.7)
    for name, w in params.items():
        up, down = (0.7 / 6 * (w + h) ** 6 for h in (1e-5, -1e-5))
        slope = (up - down) / 2e-5 if name in ("first", "hidden_2") else 0.0
        np.testing.assert_allclose(found[name], 1 + slope, rtol=1e-6)


def test_a_ramp_of_noise_leaves_the_prior_of_sixth_order() -> None:
    control = Control(0.0, 0.5, 0.5, 0.1)._replace(
        temperature=0.02, sextic_decay=0.3, ramp_factor=16.0, ramp_steps=4.0
    )
    top = control_at(4, control, "noise")
    assert top.sextic_decay == pytest.approx(16 * 0.3)
    assert top.sextic_decay / top.temperature == pytest.approx(0.3 / 0.02)
    assert control_at(4, control, "weight_decay").sextic_decay == 0.3


def test_a_rule_for_the_learning_rate_does_not_go_with_it() -> None:
    keys = {**SMALL, "sextic_decay": 0.1, "learning_rate": "auto"}
    with pytest.raises(SpecError, match="do not look at sextic_decay = 0.1"):
        read_sweep(keys)


@pytest.mark.slow
def test_langevin_samples_the_prior_of_sixth_order() -> None:
    keys = {"modulus": 7, "width": 256, "alpha_convention": "output_scale"}
    keys |= {"alpha": 1e-6, "optimizer": "langevin", "n_steps": 8000, "momentum": None}
    keys |= {"temperature": 1e-3, "weight_decay": 0.256, "train_fraction": 0.5}
    # gamma = 5/2 kappa / lambda; a step of 0.01 relaxation times.
    keys |= {"sextic_decay": 0.4 * 0.5 * 0.256}
    keys |= {"learning_rate": 0.01 * 1e-12 / 0.256}
    values = {k: v for k, v in {**SMALL, **keys}.items() if v is not None}
    one = plan.plan_runs(read_sweep(values))[0]
    program = build(one.run.system, tile=49, max_tiles=1)
    control = Control(*map(jnp.float32, one.run.control))
    lane = program.init(control, jnp.int32(one.n_train), jnp.uint32(0))

    def stretch(lane: object, _: None) -> tuple[object, jax.Array]:
        lane = jax.lax.fori_loop(0, 100, lambda _, lane: program.step(lane), lane)
        w = lane.params["first"]
        return lane, jnp.stack([(w**2).mean(), (w**6).mean()])

    _, found = jax.jit(lambda lane: jax.lax.scan(stretch, lane, None, 80))(lane)
    mean = np.asarray(found, float)[10:].mean(axis=0)
    expected = [sextic_posterior.site_moment(0.5, power) for power in (2, 6)]
    np.testing.assert_allclose(mean, expected, rtol=0.03)
    assert expected[1] < 0.2 * 15  # far from a Gaussian of variance 1


def test_draws_have_the_moments_of_the_prior() -> None:
    of = draws()
    weight = np.exp(of.log_weight)
    assert weight.mean() == pytest.approx(1, abs=0.06)
    variance = sextic_posterior.site_moment(GAMMA, 2)
    size = (weight @ of.size**2) / weight.sum()  # <Phi> <Psi>, both <w^2>
    np.testing.assert_allclose(size, variance**2, rtol=0.15)
    assert variance < 0.8


def test_without_the_term_moments_are_those_of_a_gaussian() -> None:
    assert sextic_posterior.site_moment(0.0, 2) == pytest.approx(1, abs=1e-12)
    assert sextic_posterior.site_moment(0.0, 6) == pytest.approx(15, abs=1e-9)


def test_one_wave_has_the_action_of_the_paper() -> None:
    p, phi, psi, noise, variance = 7, 5.0, 3.0, 0.1, 1e-4
    m = np.arange(p)
    u = np.sqrt(2 * phi) * np.cos(2 * np.pi * m / p + 0.3)
    v = np.sqrt(2 * psi) * np.cos(2 * np.pi * m / p - 1.1)
    prior = sum((w**2 / 2 + GAMMA * w**6 / 15).sum() for w in (u, v))
    pair = np.array([[[2]], [[4]]])  # of answer 6
    seen = sextic_posterior._seen(np.array([[u], [v]]), np.zeros(1), pair)
    output = (u[:, None] + v) ** 2
    answer = (m[:, None] + m) % p
    target = (answer[..., None] == m) - 1 / p
    signal = np.einsum("mlc,ml->c", target, output)
    gain = variance / (2 * noise**2) * (signal**2).sum()
    coupling = variance * p**2 / noise**2
    expected = p * rubin.modular_action(phi, psi, coupling, GAMMA)
    assert prior - gain == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(seen.size[0, 0], p / 2 * np.sqrt(phi * psi), rtol=1e-10)
    # All that it puts out is in one of the parts.
    np.testing.assert_allclose(seen.parts.sum(), (output**2).sum(), rtol=1e-10)
    # Nothing is learned: b_c is the sum over training pairs of one-hot targets.
    output[2, 4] = 0  # not trained on
    heard = np.einsum("mlc,ml->c", target + 1 / p, output)
    found = sextic_posterior.heard(p, seen, np.ones(4))
    np.testing.assert_allclose(found, (heard**2).sum(), rtol=1e-10)


def test_the_level_is_where_the_wells_are_as_deep() -> None:
    at = setting(0.001)
    assert sextic_posterior.level(at, GAMMA) == pytest.approx(0.001)
    coupling = at.readout_variance * (at.p / at.noise) ** 2
    assert coupling == pytest.approx(rubin.modular_transition(GAMMA), rel=1e-6)
    depth, (phi, _) = rubin.modular_well(coupling, GAMMA)[::-1]
    assert depth == pytest.approx(0, abs=1e-6)
    gain = coupling * phi**2  # over p; all of the target at a frequency: p / sigma^2
    assert sextic_posterior.worth(0.001, GAMMA) == pytest.approx(gain * 0.001, rel=1e-4)


@pytest.mark.slow
def test_a_weak_term_gives_the_law_of_a_gaussian_prior() -> None:
    # That of quadrature, of all pairs, without the constant of one-hot targets, and
    # with the mean of what neurons put out on functions of one token.
    at = Modular(7, 400, 0.05, 0.02 / 1600)
    of = draws(1e-5, 60_000)
    parts, weight = of.parts.copy(), np.exp(of.log_weight)
    parts[2:] = (parts[2:] @ weight / weight.sum())[:, None]
    of = of._replace(constant=0 * of.constant, missing=0 * of.missing, parts=parts)
    law = sextic_posterior.close(at, of)
    known = modular_posterior.close(at)
    assert law.residual == pytest.approx(known.residual, abs=0.01)
    edges = np.linspace(0, 10, 11)
    of_each = [np.histogram(one, edges, weights=law.weight)[0] for one in of.size.T]
    found = np.mean(of_each, axis=0)
    np.testing.assert_allclose(found, modular_posterior.beyond(known, edges), atol=0.01)
    assert known.residual < 0.8  # and it is not the prior


@pytest.mark.slow
def test_other_draws_give_the_same_law_on_both_sides_of_the_level() -> None:
    for noise, crowded in ((0.0014, False), (0.0008, True)):
        laws = [
            sextic_posterior.close(setting(noise), draws(n=20_000, seed=seed))
            for seed in (1, 2)
        ]
        left = [law.residual for law in laws]
        assert left[0] == pytest.approx(left[1], abs=0.01)
        assert (left[0] < 0.8) == crowded
