"""Kramers' times against quadrature and against the engine's own Langevin steps."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokmap.analysis.escapes import arrhenius, first_below, waiting
from grokmap.arrays import Floats
from grokmap.optimizers import Rates, Update, langevin_update
from grokmap.spec import Control
from grokmap.theory import kramers

WELL, BARRIER, RIGHT = -1.0, 2.0, 1.0


def exact_time(temperature: float, barrier: float = BARRIER) -> float:
    potential = partial(kramers.double_well, barrier=barrier)
    return kramers.passage_time(potential, temperature, (WELL, RIGHT), -3.0)


def test_cold_passages_follow_kramers() -> None:
    # Corrections go as T / barrier: half of them at half of the temperature.
    cold = kramers.double_well_pass(BARRIER)
    off = [cold.time(t) / exact_time(t) - 1 for t in (0.1, 0.05, 0.025)]
    assert abs(off[2]) < 0.01
    # Of his prefactor 10% are missing at T = barrier / 5.5.
    assert exact_time(BARRIER / 5.5) == pytest.approx(cold.time(BARRIER / 5.5), rel=0.1)
    np.testing.assert_allclose(off[0] / off[1], 2, rtol=0.2)
    np.testing.assert_allclose(off[1] / off[2], 2, rtol=0.1)


def test_a_flat_potential_is_left_by_diffusion() -> None:
    # From a reflecting wall over a length l: l^2 / (2 T).
    time = kramers.passage_time(lambda x: 0 * x, 0.3, (0.0, 2.0), 0.0)
    assert time == pytest.approx(4 / 0.6, rel=1e-6)


def two_wells(theta: Floats) -> float:
    """A double well in x beside a stiff y that bends with x: det ratios count."""
    x, y = theta
    return float(kramers.double_well(x, BARRIER) + (3 + x) * (y - x) ** 2)


def slope_of_two_wells(theta: Floats) -> Floats:
    x, y = theta
    bend = (y - x) ** 2 - 2 * (3 + x) * (y - x)
    return np.array([4 * BARRIER * x * (x * x - 1) + bend, 2 * (3 + x) * (y - x)])


def test_the_saddle_of_two_wells() -> None:
    # At (0, 0) the Hessian is ((-4 B + 6, -6), (-6, 6)), of determinant -24 B; at
    # (-1, -1) ((8 B + 4, -4), (-4, 4)), of determinant 32 B.
    gradient = slope_of_two_wells
    minimum = kramers.stationary(gradient, np.array([-0.9, -1.2]))
    np.testing.assert_allclose(minimum, [-1, -1], atol=1e-9)

    starts = np.random.default_rng(0).normal(scale=0.5, size=(20, 2))
    ((found, saddle),) = kramers.passes(two_wells, gradient, minimum, starts)
    np.testing.assert_allclose(saddle, [0, 0], atol=1e-8)
    down = (12 - 4 * BARRIER - np.hypot(4 * BARRIER, 12)) / 2
    assert found.barrier == pytest.approx(BARRIER, rel=1e-9)
    expected = -down / (2 * np.pi) * np.sqrt(32 / 24)
    assert found.attempts == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="which needs one below 0"):
        kramers.saddle_pass(two_wells, gradient, minimum, minimum)


def escapes(
    temperature: float, n: int, n_records: int, every: int, step: float
) -> tuple[Floats, Floats]:
    """(times [k], theta [n, k]) of chains from the left well, by `langevin_update`."""
    control = Control(0, 0, 0, 0, temperature=temperature)
    rates = Rates(step, 0.0)
    slope = jax.vmap(jax.grad(lambda x: kramers.double_well(x, BARRIER)))

    def move(number: jax.Array, theta: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(5), number)
        seen = Update(control, rates, number, key)
        moved, _ = langevin_update({"w": slope(theta)}, (), {"w": theta}, seen)
        return moved["w"]

    def record(theta: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
        theta = jax.lax.fori_loop(k * every, (k + 1) * every, move, theta)
        return theta, theta

    start = jnp.full(n, WELL)
    _, path = jax.jit(lambda: jax.lax.scan(record, start, jnp.arange(n_records)))()
    times = step * every * np.arange(1, n_records + 1)
    return times, np.asarray(path, np.float64).T


@pytest.mark.slow
def test_langevin_steps_escape_at_kramers_rate() -> None:
    # Against the exact passage. Steps of 0.001: at 0.004 passages take 9% longer.
    temperatures = BARRIER / np.array([2.5, 3.5, 4.5])
    exact = np.array([exact_time(temperature) for temperature in temperatures])
    waits = []
    for temperature, time in zip(temperatures, exact, strict=True):
        times, path = escapes(temperature, 256, int(50 * time), 100, 0.001)
        waits.append(waiting(*first_below(times, -path, -RIGHT)))
    assert min(wait.escapes for wait in waits) > 240
    off = np.log([wait.mean for wait in waits] / exact)
    assert abs(off.mean()) < 3 / np.sqrt(3 * 256)
    line = arrhenius(temperatures, waits)
    assert line.p_straight > 0.01


def test_a_harmonic_well() -> None:
    # k = 1.5, T = 0.3, steps of 0.1, iterated exactly: v <- (1 - k dt)^2 v + 2 T dt.
    variance = 0.0
    for _ in range(1000):
        variance = (1 - 0.15) ** 2 * variance + 2 * 0.3 * 0.1
    assert kramers.harmonic_variance(1.5, 0.3, 0.1) == pytest.approx(variance, rel=1e-9)
    assert kramers.harmonic_variance(1.5, 0.3) == pytest.approx(0.2)
