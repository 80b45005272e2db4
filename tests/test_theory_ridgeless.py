"""Least squares without a penalty: closed forms against draws, and along descent."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.arrays import Floats
from grokmap.reproduce.double_descent import falls_again
from grokmap.theory import ridgeless

D, SIGMA = 12, 0.5


def drawn(n: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """x [n, D], y [n] and beta [D], |beta| = 1."""
    rng = np.random.default_rng(seed)
    beta, x = rng.standard_normal(D), rng.standard_normal((n, D))
    beta /= np.linalg.norm(beta)
    return x, x @ beta + SIGMA * rng.standard_normal(n), beta


@pytest.mark.parametrize("n", [4, 8, 17, 40])
def test_the_expected_risk_is_the_mean_over_draws(n: int) -> None:
    losses = []
    for seed in range(500):
        x, y, beta = drawn(n, seed)
        losses.append(np.sum((np.linalg.pinv(x) @ y - beta) ** 2))
    error = np.std(losses) / len(losses) ** 0.5
    assert abs(np.mean(losses) - ridgeless.risk(n, D, SIGMA)) < 3 * error


def test_risks_have_the_limits_of_hastie_et_al() -> None:
    d = 10**6
    for ratio in (0.2, 0.8):
        found = ridgeless.risk(round(d / ratio), d, SIGMA)
        assert found == pytest.approx(SIGMA**2 * ratio / (1 - ratio), rel=1e-4)
    for ratio in (1.5, 4.0):
        found = ridgeless.risk(round(d / ratio), d, SIGMA)
        expected = 1 - 1 / ratio + SIGMA**2 / (ratio - 1)
        assert found == pytest.approx(expected, rel=1e-4)
    assert ridgeless.risk(D, D, SIGMA) == np.inf
    assert ridgeless.risk(D, D, 0.0) == 0 and ridgeless.risk(0, D, SIGMA) == 1


@pytest.mark.parametrize("n", [5, 12, 30])
def test_weights_are_those_of_descent_step_by_step(n: int) -> None:
    x, y, _ = drawn(n, 1)
    rate, w = 0.05, np.zeros(D)
    found = ridgeless.weights_at(x, y, rate, np.arange(20.0))
    for step in range(20):
        np.testing.assert_allclose(found[step], w, atol=1e-12)
        w = w - 2 * rate / n * x.T @ (x @ w - y)
    (rest,) = ridgeless.weights_at(x, y, rate, np.array([np.inf]))
    np.testing.assert_allclose(rest, np.linalg.pinv(x) @ y, atol=1e-9)


def test_a_rate_beyond_stability_is_refused() -> None:
    x, y, _ = drawn(30, 0)
    with pytest.raises(ValueError, match="diverges"):
        ridgeless.weights_at(x, y, 2.0, np.array([1.0]))


def test_inputs_of_two_sizes_fall_twice_and_of_one_once() -> None:
    """Large inputs are learned, then their noise; small ones, which carry most of the
    signal, long after."""
    steps = np.unique(np.geomspace(1, 1e6, 40).round())
    for small, again in ((0.05, True), (1.0, False)):
        sizes = np.append(np.ones(35), np.full(5, small))
        signal = np.append(np.full(35, 0.05), np.full(5, 1.0 / small))
        losses = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            beta = signal * rng.standard_normal(40)
            x = sizes * rng.standard_normal((60, 40))
            y = x @ beta + SIGMA * rng.standard_normal(60)
            w = ridgeless.weights_at(x, y, 0.02, steps)
            losses.append(np.sum((sizes * (w - beta)) ** 2, axis=1))
        assert falls_again(np.mean(losses, axis=0)) == again


@pytest.mark.parametrize(
    ("curve", "again"),
    [
        ([5, 3, 1, 2, 4], False),
        ([5, 3, 1, 2, 1.9, 2, 4], False),  # by less than a tenth
        ([5, 3, 1, 2, 1.5], True),
        ([5, 1, 1.05, 0.9, 0.8], False),  # rose by less than a tenth
        ([5, 1, 3, 0.5], True),
    ],
)
def test_a_second_fall(curve: list[float], again: bool) -> None:
    assert falls_again(np.array(curve)) == again
