"""Kernels of finite width: formulas by hand, Wishart's moments, and drawn networks."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import mostly_slow

from grokmap.arrays import Floats
from grokmap.theory.finite_width import (
    SIGMAS,
    deep_linear_moments,
    kernel_covariance,
    kernel_entry,
    kernel_table,
    two_hidden_layers,
)

C = 3
PAIR = np.array([[2.0, 1.0], [1.0, 2.0]])
# Four pairs of tokens, of which some share one.
FOUR = np.array([[2, 1, 0, 1], [1, 2, 1, 0], [0, 1, 2, 1], [1, 0, 1, 2.0]])


def test_quadratic_neurons_by_hand() -> None:
    q, r = PAIR[0]
    fourth = q * q + 2 * r * r  # E h^2 h'^2
    sixth = 9 * q * q * r + 6 * r**3  # E h^3 h'^3
    eighth = 9 * q**4 + 72 * (q * r) ** 2 + 24 * r**4  # E h^4 h'^4
    mean = C * fourth + C * r * 4 * r
    square = C**2 * eighth + 2 * C**2 * r * 4 * sixth
    square += C * (C + 2) * r**2 * 16 * fourth
    found = kernel_entry(SIGMAS["quadratic"], PAIR, C)
    assert found.mean == pytest.approx(mean)
    assert found.variance == pytest.approx(square - mean**2)
    assert found.between_outputs == pytest.approx(16 * fourth * r**2)


def neurons(name: str, n: int, seed: int) -> tuple[Floats, Floats]:
    """Kernels [n, 4, 4] of n single neurons, traced; and [n, 4, 4] of outputs 0, 1."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((n, 4)) @ np.linalg.cholesky(FOUR + 1e-12 * np.eye(4)).T
    a, sigma = rng.standard_normal((n, C)), SIGMAS[name]
    value, slope = sigma.value(h), sigma.slope(h)
    slopes = slope[:, :, None] * slope[:, None, :] * FOUR
    readout = np.sum(a**2, axis=1)[:, None, None]
    traced = C * value[:, :, None] * value[:, None, :] + readout * slopes
    return traced, (a[:, 0] * a[:, 1])[:, None, None] * slopes


@pytest.mark.parametrize("name", mostly_slow(SIGMAS, ("quadratic", "relu")))
def test_moments_are_those_of_drawn_neurons(name: str) -> None:
    traced, crossed = neurons(name, 150_000, 0)
    mean, variance = kernel_table(SIGMAS[name], FOUR, C)
    error = np.sqrt(variance / len(traced))
    assert np.all(np.abs(traced.mean(axis=0) - mean) < 4 * error)
    squares = (traced - mean) ** 2
    error = squares.std(axis=0) / np.sqrt(len(squares))
    assert np.all(np.abs(squares.mean(axis=0) - variance) < 4 * error)
    for place in ((0, 0), (0, 1)):
        exact = kernel_entry(SIGMAS[name], FOUR[np.ix_(place, place)], C)
        seen = crossed[:, *place] ** 2
        error = seen.std() / np.sqrt(len(seen))
        assert abs(seen.mean() - exact.between_outputs) < 4 * error


@pytest.mark.parametrize("name", ["quadratic", "tanh"])
def test_covariance_of_two_entries(name: str) -> None:
    traced, _ = neurons(name, 150_000, 1)
    one, two = traced[:, 0, 1], traced[:, 1, 2]
    products = (one - one.mean()) * (two - two.mean())
    order = np.ix_([0, 1, 1, 2], [0, 1, 1, 2])
    exact = kernel_covariance(SIGMAS[name], FOUR[order], C)
    assert abs(products.mean() - exact) < 4 * products.std() / np.sqrt(len(products))
    # Of an entry with itself it is the variance.
    same = np.ix_([0, 1, 0, 1], [0, 1, 0, 1])
    variance = kernel_entry(SIGMAS[name], FOUR[:2, :2], C).variance
    itself = kernel_covariance(SIGMAS[name], FOUR[same], C)
    assert itself == pytest.approx(variance, rel=1e-5)


# ---- deep networks


def test_one_linear_hidden_layer_is_its_neurons() -> None:
    entry = kernel_entry(SIGMAS["linear"], PAIR, C)
    mean, variance = deep_linear_moments(PAIR, 1, C, 10)
    assert mean == pytest.approx(entry.mean)
    assert variance == pytest.approx(entry.variance / 10)


def drawn_kernels(name: str, depth: int, width: int, n: int) -> Floats:
    """K(x, x) and K(x, y) [n, 2] of n drawn networks, x.x = y.y = 2, x.y = 1."""
    rng = np.random.default_rng(depth)
    sigma, inputs = SIGMAS[name], np.linalg.cholesky(PAIR).T  # columns x, y
    found = np.empty((n, 2))
    for i in range(n):
        forward, slopes, h = [inputs], [], inputs
        weights = []
        for layer in range(depth):
            w = rng.standard_normal((width, len(h)))
            w /= 1 if layer == 0 else np.sqrt(width)
            weights.append(w)
            before = w @ h
            h = sigma.value(before)
            slopes.append(sigma.slope(before))
            forward.append(h)
        back = np.repeat(
            rng.standard_normal((C, width))[:, :, None] / np.sqrt(width), 2, axis=2
        )
        kernel = C * forward[-1].T @ forward[-1] / width
        for layer in reversed(range(depth)):
            back = back * slopes[layer]
            seen = forward[layer].T @ forward[layer] / (1 if layer == 0 else width)
            kernel += np.einsum("cix,ciy->xy", back, back) * seen
            back = np.einsum("cix,ij->cjx", back, weights[layer])
        found[i] = kernel[0, 0], kernel[0, 1]
    return found


def within(seen: Floats, exact: float, errors: float = 4) -> bool:
    return bool(abs(seen.mean() - exact) < errors * seen.std() / np.sqrt(len(seen)))


@pytest.mark.parametrize("depth", [2, 3])
def test_deep_linear_networks_have_wisharts_moments(depth: int) -> None:
    kernels = drawn_kernels("linear", depth, 4, 6_000)
    for column, gram in enumerate((np.full((2, 2), 2.0), PAIR)):
        mean, variance = deep_linear_moments(gram, depth, C, 4)
        assert mean == (depth + 1) * C * gram[0, 1]
        assert within(kernels[:, column], mean)
        assert within((kernels[:, column] - mean) ** 2, variance)


def test_two_hidden_linear_layers_need_no_correction() -> None:
    found = two_hidden_layers(SIGMAS["linear"], PAIR, C)
    assert found.leading == pytest.approx(deep_linear_moments(PAIR, 2, C, 9)[0])
    assert found.correction == pytest.approx(0, abs=1e-7)


def test_two_hidden_quadratic_layers_by_hand() -> None:
    # F = g_xx g_yy + 2 g_xy^2, H = 4 g_xy; at x = y, q = x.x, sigma = h^2 has g = 3 q^2
    # and N Var g = E h^8 - 9 q^4 = 96 q^4, the slopes D = 4 q, Cov(slope^2, h^4) = 48
    # q^3, E slope^2 h^4 = 60 q^3.
    q = 0.7
    variance, crossed = 96 * q**4, 48 * q**3
    leading = 3 * (3 * q**2) ** 2 + 4 * (3 * q**2) ** 2 + q * 4 * q * 4 * 3 * q**2
    correction = 3 * variance + 4 * variance + q * (4 * crossed + 8 * 60 * q**3)
    found = two_hidden_layers(SIGMAS["quadratic"], np.array([[q]]), C)
    assert found.leading == pytest.approx(C * leading)
    assert found.correction == pytest.approx(C * correction, rel=1e-6)


def test_relu_has_no_correction_on_the_diagonal() -> None:
    # Guillen, Misof and Gerken (arXiv 2508.11522), at any scale of the weights here.
    found = two_hidden_layers(SIGMAS["relu"], np.array([[1.7]]), C)
    assert found.leading == pytest.approx(C * 3 * 1.7 / 4)
    assert found.correction == pytest.approx(0, abs=1e-6)
    assert two_hidden_layers(SIGMAS["relu"], PAIR, C).correction > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quadratic", "relu", "erf", "tanh"])
def test_two_hidden_layers_of_drawn_networks(name: str) -> None:
    # Quadratic: exact at any width. Others: what is left out is 1/N^2 of the mean.
    width = 8 if name == "quadratic" else 24
    kernels = drawn_kernels(name, 2, width, 20_000)
    for column, gram in enumerate((np.full((1, 1), 2.0), PAIR)):
        leading, correction = two_hidden_layers(SIGMAS[name], gram, C)
        seen = kernels[:, column]
        left = 0.0 if name == "quadratic" else 2 * abs(leading) / width**2
        error = 4 * seen.std() / np.sqrt(len(seen)) + left
        assert abs(seen.mean() - leading - correction / width) < error
