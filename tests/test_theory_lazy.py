"""The lazy limit against weights that are stepped one by one, and its kernels against
averages over Gaussian weights."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import erf

from grokmap.theory import infinite_width as wide
from grokmap.theory import lazy

RNG = np.random.default_rng(0)
N_TRAIN, N_TEST, N_OUTPUTS, N_WEIGHTS = 5, 3, 2, 11
SETTINGS = [(0.0, 0.0), (0.3, 0.0), (0.0, 0.9), (0.3, 0.9)]  # decay, momentum
STEP = 0.05


def model(shared: bool) -> tuple[np.ndarray, np.ndarray]:
    """(J [n + l, C, P], theta_0 [P]) of a model linear in its weights; shared: each
    output has weights of its own and the same inputs."""
    n = N_TRAIN + N_TEST
    if not shared:
        jacobian = RNG.standard_normal((n, N_OUTPUTS, N_WEIGHTS))
        return jacobian, RNG.standard_normal(N_WEIGHTS)
    x = RNG.standard_normal((n, N_WEIGHTS))
    jacobian = np.einsum("np,cd->ncdp", x, np.eye(N_OUTPUTS)).reshape(n, N_OUTPUTS, -1)
    return jacobian, RNG.standard_normal(N_OUTPUTS * N_WEIGHTS)


def stepped(
    jacobian: np.ndarray, start: np.ndarray, theta: np.ndarray, y: np.ndarray, *rates
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Outputs before each of 60 steps of plain descent of the weights."""
    decay, momentum = rates
    first, velocity, found = theta, 0 * theta, []
    for _ in range(60):
        f = start + jacobian @ (theta - first)
        found.append((f[:N_TRAIN], f[N_TRAIN:]))
        slope = 2 / N_TRAIN * (f[:N_TRAIN] - y)
        gradient = np.einsum("nc,ncp->p", slope, jacobian[:N_TRAIN])
        velocity = momentum * velocity + gradient + decay * theta
        theta = theta - STEP * velocity
    return found


def network(jacobian: np.ndarray, start: np.ndarray, theta: np.ndarray, y: np.ndarray):
    pull = jacobian @ theta
    train = lazy.Examples(start[:N_TRAIN], pull[:N_TRAIN], y)
    test = lazy.Examples(start[N_TRAIN:], pull[N_TRAIN:], np.zeros((N_TEST, N_OUTPUTS)))
    return lazy.Linearised(train, test)


def modes(kind: str, jacobian: np.ndarray, linear: lazy.Linearised) -> lazy.Modes:
    if kind == "shared":
        x = jacobian[:, 0, :N_WEIGHTS]
        kernel = x @ x[:N_TRAIN].T
        return lazy.modes_of(linear, kernel[:N_TRAIN], kernel[N_TRAIN:])
    flat = jacobian.reshape(-1, jacobian.shape[-1])
    kernel = flat @ flat[: N_TRAIN * N_OUTPUTS].T
    here, there = np.split(kernel, [N_TRAIN * N_OUTPUTS])
    if kind == "whole":
        return lazy.modes_of(linear, here, there)
    return lazy.krylov_modes(linear, lambda v: (here @ v, there @ v), 100)


@pytest.mark.parametrize("kind", ["shared", "whole", "krylov"])
@pytest.mark.parametrize("rates", SETTINGS)
@pytest.mark.parametrize("centred", [False, True])
def test_outputs_are_those_of_stepped_weights(
    kind: str, rates: tuple[float, float], centred: bool
) -> None:
    jacobian, theta = model(kind == "shared")
    start = 0.0 if centred else 1.0
    begin = start * RNG.standard_normal((N_TRAIN + N_TEST, N_OUTPUTS))
    y = RNG.standard_normal((N_TRAIN, N_OUTPUTS))
    expected = stepped(jacobian, begin, theta, y, *rates)
    found = modes(kind, jacobian, network(jacobian, begin, theta, y))
    steps = np.array([0, 1, 2, 7, 59])
    descent = lazy.Descent(STEP, *rates, N_TRAIN)
    train, test = lazy.outputs(found, descent, steps)
    for i, step in enumerate(steps):
        np.testing.assert_allclose(train[i], expected[step][0], atol=1e-9)
        np.testing.assert_allclose(test[i], expected[step][1], atol=1e-9)


@pytest.mark.parametrize("kind", ["shared", "whole", "krylov"])
def test_the_end_is_ridge_regression(kind: str) -> None:
    jacobian, theta = model(kind == "shared")
    start, decay = jacobian @ theta, 0.2  # of a form of degree 1
    y = RNG.standard_normal((N_TRAIN, N_OUTPUTS))
    flat = jacobian[:N_TRAIN].reshape(-1, len(theta))
    ridge = N_TRAIN * decay / 2
    square = flat.T @ flat + ridge * np.eye(len(theta))
    weights = np.linalg.solve(square, flat.T @ y.ravel())
    found = modes(kind, jacobian, network(jacobian, start, theta, y))
    descent = lazy.Descent(STEP, decay, 0.5, N_TRAIN)
    assert descent.ridge == pytest.approx(ridge)
    for side, part in zip(lazy.end(found, ridge), (slice(5), slice(5, 8)), strict=True):
        np.testing.assert_allclose(side, jacobian[part] @ weights, atol=1e-9)
    late = lazy.outputs(found, descent, np.array([20_000]))
    for side, then in zip(lazy.end(found, ridge), late, strict=True):
        np.testing.assert_allclose(side, then[0], atol=1e-9)


def test_the_end_without_decay_is_the_limit_of_small_decay() -> None:
    jacobian, theta = model(False)
    jacobian[:N_TRAIN, :, 3:] = 0  # so that some of the kernel's eigenvalues are 0
    begin = RNG.standard_normal((N_TRAIN + N_TEST, N_OUTPUTS))
    y = RNG.standard_normal((N_TRAIN, N_OUTPUTS))
    found = modes("whole", jacobian, network(jacobian, begin, theta, y))
    assert np.sum(found.values == 0) == N_TRAIN * N_OUTPUTS - 3
    late = lazy.outputs(found, lazy.Descent(STEP, 0.0, 0.0, N_TRAIN), np.array([10**6]))
    for end, then in zip(lazy.end(found, 0.0), late, strict=True):
        np.testing.assert_allclose(end, then[0], atol=1e-8)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_what_is_left_of_a_distance(momentum: float) -> None:
    # (1 - sqrt(beta))^2 is critical damping, where two roots are one.
    strength = np.array([0.0, 0.01, (1 - momentum**0.5) ** 2, 0.7, 1.0, 2.5])
    distance, u = np.ones_like(strength), np.zeros_like(strength)
    for step in range(41):
        found = lazy.left(strength, momentum, np.array([step]))[0]
        np.testing.assert_allclose(found, distance, rtol=1e-10, atol=1e-10)
        u = momentum * u + strength * distance
        distance = distance - u


def test_scores_are_those_of_the_records() -> None:
    f = np.array([[0.0, 1.0], [2.0, 2.0], [3.0, 1.0]])
    side = lazy.Examples(f, f, np.eye(2)[[1, 0, 1]], np.array([1, 0, 1]))
    found = lazy.scores(lazy.Linearised(side, side), f, f)
    # Right, a tie, wrong; squared errors 0, 1 + 4, 9 + 0.
    assert found["train_accuracy"] == pytest.approx(1 / 3)
    assert found["test_loss"] == pytest.approx(14 / 3)


# ---- kernels of infinite width


def averages(name: str, v: float, w: float, c: float) -> tuple[float, float]:
    """E sigma sigma' and E slope slope', by Gauss and Hermite's rule on a grid."""
    sigma, slope = {
        "quadratic": (np.square, lambda h: 2 * h),
        "erf": (erf, lambda h: 2 / np.sqrt(np.pi) * np.exp(-h * h)),
    }[name]
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = np.outer(weights, weights) / (2 * np.pi)
    one = np.sqrt(v) * nodes[:, None]
    two = c / np.sqrt(v) * nodes[:, None] + np.sqrt(w - c * c / v) * nodes[None, :]
    return tuple(float(np.sum(weights * g(one) * g(two))) for g in (sigma, slope))


@pytest.mark.parametrize("name", ["quadratic", "erf"])
@pytest.mark.parametrize("v, w, c", [(2, 2, 0), (2, 2, 1), (0.5, 1.5, -0.6)])
def test_kernels_are_averages(name: str, v: float, w: float, c: float) -> None:
    arguments = [np.array(x, float) for x in (v, w, c)]
    found = [average(*arguments) for average in wide.AVERAGES[name]]
    np.testing.assert_allclose(found, averages(name, v, w, c), rtol=1e-6, atol=1e-9)


def test_the_kernel_of_relu_at_known_angles() -> None:
    # E relu(h)^2 = v/2; independent h: (E relu)^2 = v/2pi; opposite ones: never both.
    v = np.array(2.0)
    for c, product_, slope in ((2.0, 1.0, 0.5), (0.0, 1 / np.pi, 0.25), (-2.0, 0, 0)):
        found = [f(v, v, np.array(c)) for f in wide.AVERAGES["relu"]]
        np.testing.assert_allclose(found, (product_, slope), atol=1e-7)


@pytest.mark.parametrize("name", wide.AVERAGES)
def test_kernels_are_means_over_many_neurons(name: str) -> None:
    sigma, slope = {
        "quadratic": (np.square, lambda h: 2 * h),
        "relu": (lambda h: np.maximum(h, 0), lambda h: (h > 0).astype(float)),
        "erf": (erf, lambda h: 2 / np.sqrt(np.pi) * np.exp(-h * h)),
    }[name]
    x = np.random.default_rng(1).standard_normal((3, 4))
    h = np.random.default_rng(2).standard_normal((400_000, 4)) @ x.T / 2
    covariance = wide.products(x)
    mean = [g(h).T @ g(h) / len(h) for g in (sigma, slope)]
    expected = mean[0] + mean[1] * covariance
    found = wide.tangent_kernel(covariance, name)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02 * found.max())


@pytest.mark.parametrize("name", wide.AVERAGES)
def test_levels_are_the_eigenvalues_on_all_pairs(name: str) -> None:
    p = 5
    pairs = np.array(list(product(range(p), repeat=2)))
    kernel = wide.tangent_kernel(wide.shared_tokens(pairs), name)
    mean, sums, rest = wide.levels(p, name)
    expected = [rest] * (p - 1) ** 2 + [sums] * 2 * (p - 1) + [mean]
    np.testing.assert_allclose(np.linalg.eigvalsh(kernel), sorted(expected))
    # What has to be learned is in the slowest space.
    target = np.eye(p)[pairs.sum(axis=1) % p] - 1 / p
    np.testing.assert_allclose(kernel @ target, rest * target, atol=1e-9)


@pytest.mark.parametrize("name", wide.AVERAGES)
def test_the_kernel_never_adds(name: str) -> None:
    # No two examples of one row or column have the same sum, and sharing a token is
    # all that the kernel sees: what it has seen speaks against the right answer.
    p = 7
    pairs = np.array(list(product(range(p), repeat=2)))
    kernel = wide.tangent_kernel(wide.shared_tokens(pairs), name)
    label, zero = pairs.sum(axis=1) % p, np.zeros((p * p, p))
    for seed in range(5):
        train = np.random.default_rng(seed).permutation(p * p) < 0.7 * p * p
        sides = (
            lazy.Examples(zero[s], zero[s], np.eye(p)[label[s]], label[s])
            for s in (train, ~train)
        )
        here, there = kernel[train][:, train], kernel[~train][:, train]
        found = lazy.modes_of(lazy.Linearised(*sides), here, there)
        for ridge in (0.0, 0.1, 10.0):
            scores = lazy.scores(found.network, *lazy.end(found, ridge))
            assert scores["test_accuracy"] < 1 / p
            assert ridge or scores["train_accuracy"] == 1


def test_an_activation_without_a_closed_form_is_named() -> None:
    with pytest.raises(ValueError, match="'tanh'; for: quadratic, relu, erf"):
        wide.tangent_kernel(np.eye(2), "tanh")
