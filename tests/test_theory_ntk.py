"""Training with a fixed kernel against flow of a linear model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from grokmap.theory.ntk import kernel_regression

RNG = np.random.default_rng(0)
X, FRESH = RNG.standard_normal((6, 9)), RNG.standard_normal((4, 9))
START, Y = RNG.standard_normal(9), RNG.standard_normal(6)


def predicted(x: np.ndarray, y: np.ndarray, time: float) -> np.ndarray:
    return kernel_regression(x @ x.T, FRESH @ x.T, y, x @ START, FRESH @ START, time)


@pytest.mark.parametrize("time", [0.0, 0.3, 2.0])
def test_flow_of_a_linear_model(time: float) -> None:
    def flow(_: float, w: np.ndarray) -> np.ndarray:
        return -2 / len(X) * X.T @ (X @ w - Y)

    w = solve_ivp(flow, (0, max(time, 1e-9)), START, rtol=1e-10, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(predicted(X, Y, time), FRESH @ w, rtol=1e-6)


def test_the_end_is_the_nearest_solution() -> None:
    w = START + np.linalg.pinv(X) @ (Y - X @ START)
    np.testing.assert_allclose(predicted(X, Y, np.inf), FRESH @ w, rtol=1e-9)


def test_repeated_inputs_share_their_targets() -> None:
    twice = np.concatenate([X, X])
    split = np.concatenate([Y + 1, Y - 1])
    np.testing.assert_allclose(
        predicted(twice, split, np.inf), predicted(X, Y, np.inf), rtol=1e-6
    )


def test_outputs_are_learned_apart() -> None:
    both = kernel_regression(
        X @ X.T, FRESH @ X.T, np.stack([Y, 2 * Y], 1), np.zeros((6, 2)), 0.0
    )
    np.testing.assert_allclose(both[:, 1], 2 * both[:, 0])
