"""Diagonal linear network, arXiv 2311.18817."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from grokmap.theory import lyu

DATA = lyu.sparse_sign(10, 6, 1)


def test_labels_are_those_of_three_features() -> None:
    data = lyu.sparse_sign(200, 5, 0)
    np.testing.assert_array_equal(data.y, np.sign(data.x[:, :3] @ np.ones(3)))
    assert set(np.unique(data.x)) == {-1, 1} and set(np.unique(data.y)) == {-1, 1}
    # The sum of three is right for all; one of them in 3 cases of 4.
    w = np.stack([np.eye(5)[0], [1, 1, 1, 0, 0]], 1)
    big = lyu.sparse_sign(20_000, 5, 1)
    np.testing.assert_allclose(lyu.accuracy(w, big), [0.75, 1], atol=0.01)


def test_loss_gradient() -> None:
    def loss(w: np.ndarray) -> float:
        return float(np.mean(np.log1p(np.exp(-DATA.y * (DATA.x @ w)))))

    w, h = np.linspace(-1, 1, 6), 1e-6
    found = [(loss(w + h * e) - loss(w - h * e)) / (2 * h) for e in np.eye(6)]
    np.testing.assert_allclose(lyu.loss_gradient(w, DATA), found, rtol=1e-6)


def test_jacobian() -> None:
    w, h, rest = np.linspace(-1, 1, 6), 1e-6, (DATA, 1.3, 0.2)
    found = [
        (lyu.velocity(0.4, w + h * e, *rest) - lyu.velocity(0.4, w - h * e, *rest))
        / (2 * h)
        for e in np.eye(6)
    ]
    np.testing.assert_allclose(
        lyu.jacobian(0.4, w, *rest), np.array(found).T, rtol=1e-6, atol=1e-8
    )


def test_the_closed_flow_is_that_of_the_weights() -> None:
    alpha, lambda_, end = 1.5, 0.05, 2.0

    def weights(_: float, theta: np.ndarray) -> np.ndarray:
        u, v = theta[:6], theta[6:]
        g = 2 * lyu.loss_gradient(u**2 - v**2, DATA)
        return np.concatenate([-g * u, g * v]) - lambda_ * theta

    theta = solve_ivp(
        weights, (0, end / lambda_), np.full(12, alpha), rtol=1e-9, atol=1e-11
    ).y[:, -1]
    ours = lyu.flow(DATA, alpha, lambda_, end)(end)
    np.testing.assert_allclose(ours, theta[:6] ** 2 - theta[6:] ** 2, rtol=1e-4)


def test_the_flow_ends_at_the_sparse_predictor() -> None:
    # At rest lambda |theta|^2 / 2 = lambda |w|_1 / 2: an L1-penalised loss.
    lambda_, end = 0.02, 60.0
    data = lyu.sparse_sign(30, 6, 2)
    w = lyu.flow(data, 1.0, lambda_, end)(end)

    def penalised(both: np.ndarray) -> float:
        margin = data.y * (data.x @ (both[:6] - both[6:]))
        loss = np.mean(np.logaddexp(0, -margin))
        return float(loss + lambda_ / 2 * both.sum())

    best = minimize(penalised, np.full(12, 0.1), bounds=[(0, None)] * 12, tol=1e-14)
    np.testing.assert_allclose(w, best.x[:6] - best.x[6:], atol=2e-3)


def test_grok_place_is_the_last_crossing() -> None:
    data = lyu.Data(np.eye(2), np.ones(2))

    def path(s: np.ndarray) -> np.ndarray:  # right on both within (1, 2) and after 3
        s = np.asarray(s)
        return np.stack([np.ones_like(s), (s - 1) * (s - 2) * (s - 3)])

    place = lyu.grok_place(path, data, 10.0, 0.95)  # type: ignore[arg-type]
    assert place == pytest.approx(3, abs=1e-4)
    assert lyu.grok_place(path, data, 0.9, 0.95) == np.inf  # type: ignore[arg-type]
    assert lyu.grok_place(path, data, 10.0, 0.5) == 0  # type: ignore[arg-type]


def test_grokking_takes_the_logarithm_of_alpha() -> None:
    data, test = lyu.sparse_sign(40, 100, 0), lyu.sparse_sign(4000, 100, [0, 1])
    alphas = np.array([1e2, 1e4, 1e6])
    ends = np.log(alphas) + 5
    flows = [lyu.flow(data, a, 1e-3, end) for a, end in zip(alphas, ends, strict=True)]
    places = [
        lyu.grok_place(f, test, end, 0.95) for f, end in zip(flows, ends, strict=True)
    ]
    assert lyu.slope(np.log(alphas), np.array(places))[0] == pytest.approx(1, abs=0.01)
    # Before, the kernel predictor: it fits, and does not generalise.
    early = flows[-1](0.5 * np.log(alphas[-1]))[:, None]
    assert lyu.accuracy(early, data) == 1
    assert lyu.accuracy(early, test) < 0.8
