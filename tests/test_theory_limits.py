"""The engine where theory is exact: wide and lazy, diagonal, Gaussian."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokmap.engine.lane import Lane, examples_of
from grokmap.engine.records import Slots
from grokmap.engine.train import Program, build
from grokmap.spec import Control, System
from grokmap.theory import kramers, lyu
from grokmap.theory.ntk import kernel_regression


def every(interval: int, records: int = 1) -> Slots:
    """Slots of a chunk that records evenly."""
    never = jnp.zeros(records, bool)
    intervals = jnp.full(records, interval, jnp.int32)
    return Slots(intervals, never, never, jnp.int32(records))


def started(n_train: int, control: Control, **system: Any) -> tuple[Program, Lane]:
    """A program and a lane of seed 0 at step 0."""
    program = build(System(**system), tile=n_train, max_tiles=1)
    lane = jax.jit(program.init)(control, jnp.int32(n_train), jnp.uint32(0))
    return program, lane


# ---- width to infinity: kernel regression


N_TRAIN, LAZY_STEPS, LAZY_RATE, SEEDS = 20, 200, 0.6, 16
LAZY = {
    "task": "linear_teacher",
    "n_inputs": 4,
    "n_examples": 2 * N_TRAIN,
    "activation": "erf",
    "alpha_convention": "laziness",
    "center": True,
    "order_parameters": ("ntk_drift",),  # so that a lane keeps its initial kernel
}


def distance_to_kernel_regression(width: int) -> tuple[float, float]:
    """(|f - f_kernel| / |y| on test inputs, largest training loss / |y|^2); the former
    as a geometric mean over seeds, of which few would decide a plain one."""
    system = System(**LAZY, width=width)
    program = build(system, tile=N_TRAIN, max_tiles=1)
    control = Control(0.5, 0.0, 0.5, LAZY_RATE)
    seeds = jnp.arange(SEEDS, dtype=jnp.uint32)
    start = jax.vmap(lambda s: program.init(control, jnp.int32(N_TRAIN), s))(seeds)
    one = every(LAZY_STEPS)
    end, _ = jax.jit(jax.vmap(lambda lane: program.chunk(lane, one)))(start)
    seen = jax.vmap(program.snapshot)(end)
    time = LAZY_STEPS * LAZY_RATE
    gaps, losses = [], []
    for kernel, y, f in zip(
        *(np.asarray(x, np.float64) for x in (
            start.initial_kernel, seen.answer, seen.logits
        )), strict=True,
    ):  # fmt: skip
        own, fresh = kernel[:N_TRAIN, :N_TRAIN], kernel[N_TRAIN:, :N_TRAIN]
        zero = np.zeros((N_TRAIN, 1))
        expected = kernel_regression(own, fresh, y[:N_TRAIN], zero, zero, time)
        gap = np.linalg.norm(f[N_TRAIN:] - expected) / np.linalg.norm(y[N_TRAIN:])
        residual = np.linalg.norm((f - y)[:N_TRAIN]) / np.linalg.norm(y[:N_TRAIN])
        gaps.append(gap)
        losses.append(residual**2)
    return float(np.exp(np.mean(np.log(gaps)))), max(losses)


@pytest.mark.slow
def test_wide_lazy_networks_are_kernel_regression() -> None:
    # Each weight moves by N^(-1/2), so the kernel by at most as much; but to first
    # order its change is a mean over neurons of terms odd in their readouts, of both
    # signs, and the rest is of second order: both are 1/N.
    widths = np.array([64, 256, 1024])
    gaps, losses = zip(*map(distance_to_kernel_regression, widths), strict=True)
    slope = np.polynomial.polynomial.polyfit(np.log(widths), np.log(gaps), 1)[1]
    assert max(losses) < 0.02
    assert slope == pytest.approx(-1, abs=0.25)
    assert gaps[-1] < 0.01


# ---- the diagonal network of Lyu et al. (arXiv 2311.18817)


DIAGONAL = {
    "task": "sparse_sum",
    "n_relevant": 3,
    "n_inputs": 40,
    "n_examples": 1030,
    "model": "diagonal",
    "loss": "logistic",
    "alpha_convention": "standard",
}


@pytest.mark.parametrize("alpha", [2.0, 4.0])
@pytest.mark.slow
def test_the_diagonal_network_follows_its_flow(alpha: float) -> None:
    n_train, decay, rate = 30, 0.02, 0.002
    control = Control(alpha, decay, 0.5, rate)
    program, lane = started(n_train, control, **DIAGONAL)
    data = examples_of(System(**DIAGONAL), lane)
    x, y = (np.asarray(a, np.float64) for a in (data.inputs, data.target[:, 0]))
    train, test = lyu.Data(x[:n_train], y[:n_train]), lyu.Data(x[n_train:], y[n_train:])
    end = float(np.log(alpha)) + 1.5
    flow, chunk = lyu.flow(train, alpha, decay, end), jax.jit(program.chunk)
    steps, accuracies = round(end / (decay * rate) / 8), []
    for i in range(1, 9):
        lane, _ = chunk(lane, every(steps))
        u, v = (np.asarray(lane.params[k], np.float64) for k in ("plus", "minus"))
        place = i * steps * decay * rate
        expected = flow(place)[:, None]
        gap = np.linalg.norm(u**2 - v**2 - expected) / np.linalg.norm(expected)
        assert gap < 0.01
        np.testing.assert_allclose(u * v, alpha**2 * np.exp(-2 * place), rtol=0.01)
        accuracies.append(lyu.accuracy(u**2 - v**2, test)[0])
    # From the kernel's predictor to the sparse one.
    assert accuracies[0] < 0.85 and accuracies[-1] > 0.95


# ---- Langevin dynamics at equilibrium: Bayesian linear regression


@pytest.mark.slow
def test_langevin_samples_the_posterior_of_a_linear_student() -> None:
    n, d, decay, temperature, rate = 40, 10, 0.2, 0.1, 0.05
    control = Control(1.0, decay, 0.5, rate)._replace(temperature=temperature)
    system = {
        "task": "linear_teacher",
        "n_inputs": d,
        "n_examples": 2 * n,
        "model": "linear",
        "alpha_convention": "standard",
        "optimizer": "langevin",
    }
    program, lane = started(n, control, **system)
    data = examples_of(System(**system), lane)
    x, y = (np.asarray(a, np.float64)[:n] for a in (data.inputs, data.target[:, 0]))
    x /= d**0.5
    # exp(-F/T), F = |y - x theta|^2 / n + (decay/2) |theta|^2: Gaussian.
    hessian = 2 / n * x.T @ x + decay * np.eye(d)
    mean = np.linalg.solve(hessian, 2 / n * x.T @ y)
    covariance = temperature * np.linalg.inv(hessian)
    loss = np.mean((y - x @ mean) ** 2) + np.trace(x @ covariance @ x.T) / n
    size = mean @ mean + np.trace(covariance)
    _, records = jax.jit(program.chunk)(lane, every(25, 6000))
    found = dict(
        zip(program.names["dense"], np.asarray(records).T[:, 200:], strict=True)
    )
    assert found["train_loss"].mean() == pytest.approx(loss, rel=0.03)
    assert np.mean(found["weight_norm"] ** 2) == pytest.approx(size, rel=0.03)
    # Both mean and fluctuations count.
    assert 0.2 < np.trace(covariance) / size < 0.8


# ---- Batches as a temperature


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "size"), [(0.02, 4), (0.04, 4), (0.02, 1)])
def test_batches_are_as_noisy_as_their_temperature(rate: float, size: int) -> None:
    # A linear student of a cubic teacher is left with residuals, hence with noise.
    n, d, decay = 40, 5, 0.1
    system = {
        "task": "cubic_teacher",
        "n_inputs": d,
        "n_examples": 2 * n,
        "model": "linear",
        "alpha_convention": "standard",
        "batch_size": size,
    }
    program, lane = started(n, Control(1.0, decay, 0.5, rate), **system)
    data = examples_of(System(**system), lane)
    rows = np.asarray(lane.rows)[:n]
    x, y = (np.asarray(a, np.float64)[rows] for a in (data.inputs, data.target[:, 0]))
    x /= d**0.5
    hessian = 2 / n * x.T @ x + decay * np.eye(d)
    least = np.linalg.solve(hessian, 2 / n * x.T @ y)
    slopes = 2 * x * (x @ least - y)[:, None] + decay * least
    _, basis = np.linalg.eigh(hessian)
    temperature, each = kramers.batch_temperature(
        rate, size, np.cov((slopes @ basis).T)
    )
    _, records = jax.jit(program.chunk)(lane, every(20, 8000))
    found = dict(
        zip(program.names["dense"], np.asarray(records, np.float64).T, strict=True)
    )
    objective = found["train_loss"] + decay / 2 * found["weight_norm"] ** 2
    bottom = np.mean((x @ least - y) ** 2) + decay / 2 * least @ least
    excess = objective[500:].mean() - bottom
    # Corrections go as the step times the curvature, and as what the noise changes of
    # itself, both below a tenth here.
    assert excess == pytest.approx(d * temperature / 2, rel=0.15)
    # But it is no one temperature: directions differ by more than a factor of 2.
    assert each.max() / each.min() > 2
