"""The quadratic network of arXiv 2310.06110 against its own gradient descent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from grokmap.theory import kumar, ntk


class Case(NamedTuple):
    """A drawn network w [N, D], inputs x [P, D] and the target's T [D, D]."""

    w: np.ndarray
    x: np.ndarray
    t: np.ndarray


def drawn(n: int, d: int, p: int, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    beta = rng.standard_normal(d)
    x = rng.standard_normal((p, d)) / np.sqrt(d)
    return Case(rng.standard_normal((n, d)), x, np.outer(beta, beta))


def network_losses(
    case: Case, alpha: float, epsilon: float, rate: float, n_steps: int, centred: bool
) -> np.ndarray:
    """Mean r^2 along gradient descent of the N neurons themselves."""
    w, x = case.w.copy(), case.x

    def f(w: np.ndarray) -> np.ndarray:
        h = x @ w.T
        return alpha * (h + epsilon / 2 * h**2).mean(axis=1)

    y = 0.5 * np.einsum("pi,ij,pj->p", x, case.t, x) + centred * f(w)
    losses = []
    for _ in range(n_steps + 1):
        h = x @ w.T
        r = alpha * (h + epsilon / 2 * h**2).mean(axis=1) - y
        losses.append(np.mean(r**2))
        slope = (1 + epsilon * h) * r[:, None]
        w -= rate * 2 * alpha / len(w) / len(x) * slope.T @ x
    return np.array(losses)


def relative_gap(
    case: Case, alpha: float, epsilon: float, n_steps: int, centred: bool
) -> float:
    rate = 0.5 * len(case.w) / alpha**2
    kappa = 2 * rate * alpha / len(case.w)
    start = kumar.network_moments(case.w)
    ours = kumar.train(start, case.x, case.t, alpha, epsilon, kappa, n_steps, centred)
    finite = network_losses(case, alpha, epsilon, rate, n_steps, centred)
    assert finite[-1] < 0.5 * finite[0]
    return float(np.max(np.abs(ours.train_loss / finite - 1)))


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("alpha", [0.25, 2.0])
def test_moments_follow_gradient_descent(alpha: float, centred: bool) -> None:
    assert relative_gap(drawn(50, 8, 30), alpha, 0.25, 400, centred) < 1e-9


@pytest.mark.slow
def test_moments_follow_gradient_descent_at_the_published_size() -> None:
    assert relative_gap(drawn(500, 100, 450), 1.0, 0.25, 1000, True) < 1e-6


def test_population_loss_is_the_mean_over_fresh_inputs() -> None:
    # Begin, middle and end of a run of the published size, and centred.
    case = drawn(500, 100, 450, seed=1)
    alpha, epsilon = 1.0, 0.25
    start = moments = kumar.network_moments(case.w)
    fresh = np.random.default_rng(7).standard_normal((100_000, 100)) / 10
    y = kumar.targets(fresh, case.t)
    seen = [start]
    for _ in range(2):
        moments = kumar.train(
            moments, case.x, case.t, alpha, epsilon, 1 / alpha, 40, False
        ).end
        seen.append(moments)
    for one in [*seen, moments - start]:
        square = (kumar.outputs(one, fresh, alpha, epsilon) - y) ** 2
        exact = kumar.population_loss(one, case.t, alpha, epsilon)
        gap = abs(np.mean(square) - exact)
        assert gap < 3 * np.std(square) / np.sqrt(len(square))
        assert gap < 0.03 * exact


def test_uncentred_population_loss_has_the_mean_of_the_weights() -> None:
    case = drawn(20, 5, 1, seed=2)
    moments = kumar.network_moments(case.w)
    fresh = np.random.default_rng(8).standard_normal((400_000, 5)) / np.sqrt(5)
    square = (
        kumar.outputs(moments, fresh, 1.5, 0.3) - kumar.targets(fresh, case.t)
    ) ** 2
    error = np.std(square) / np.sqrt(len(square))
    exact = kumar.population_loss(moments, case.t, 1.5, 0.3)
    assert abs(np.mean(square) - exact) < 3 * error


def test_kernel_is_that_of_the_gradients() -> None:
    case = drawn(30, 6, 5, seed=3)
    slope = 1 + 0.4 * case.x @ case.w.T  # df/dw_i = (alpha/N) slope_i x
    exact = (slope @ slope.T) / 30 * (case.x @ case.x.T)
    ours = kumar.ntk(kumar.network_moments(case.w), case.x, case.x, 0.4)
    np.testing.assert_allclose(ours, exact, rtol=1e-12)


def test_eigenvalues_of_the_initial_kernel() -> None:
    # Integrals of K(x, x') g(x') by Gauss and Hermite, exact for these degrees.
    d, epsilon = 3, 0.7
    node, weight = np.polynomial.hermite_e.hermegauss(4)
    grid = np.stack(np.meshgrid(*[node] * d), -1).reshape(-1, d) / np.sqrt(d)
    mass = np.prod(np.meshgrid(*[weight / weight.sum()] * d), axis=0).ravel()
    x = np.random.default_rng(4).standard_normal((5, d))
    linear, quadratic = kumar.initial_eigenvalues(d, epsilon)
    for g, eigenvalue in (
        (lambda x: x[:, 0], linear),
        (lambda x: x[:, 0] * x[:, 1], quadratic),
        (lambda x: x[:, 0] ** 2 - x[:, 2] ** 2, quadratic),
    ):
        found = kumar.initial_kernel(x, grid, epsilon) @ (mass * g(grid))
        np.testing.assert_allclose(found, eigenvalue * g(x), rtol=1e-10)


def test_lazy_limit_is_regression_with_the_initial_kernel() -> None:
    # At K = alpha the weights move by 1/alpha, and so do the errors fall.
    case = drawn(400, 4, 6, seed=5)
    start = kumar.network_moments(case.w)
    fresh = drawn(1, 4, 50, seed=6).x
    gaps = []
    for alpha in (1e2, 1e3):
        path = kumar.train(start, case.x, case.t, alpha, 0.5, 2 / alpha, 6000, True)
        limit = ntk.kernel_regression(
            kumar.ntk(start, case.x, case.x, 0.5),
            kumar.ntk(start, fresh, case.x, 0.5),
            kumar.targets(case.x, case.t),
            0 * case.x[:, 0],
            0 * fresh[:, 0],
        )
        ours = kumar.outputs(path.end - start, fresh, alpha, 0.5)
        assert path.train_loss[-1] < 1e-8 * path.train_loss[0]
        gaps.append(np.max(np.abs(ours - limit)))
    assert gaps[1] < 0.02 * np.std(limit)
    assert gaps[1] == pytest.approx(gaps[0] / 10, rel=0.2)
