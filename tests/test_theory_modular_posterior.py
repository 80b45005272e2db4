"""Modular addition at equilibrium: the kernel by quadrature, the closed law of a neuron
against limits and against a small network's own posterior."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

from grokmap.arrays import Floats
from grokmap.theory import modular_posterior as theory
from grokmap.theory.modular_posterior import Modular


def target(p: int) -> Floats:
    """[p^2, p] 1 at m + l less 1 / p."""
    m, second = np.indices((p, p)).reshape(2, -1)
    y: Floats = np.eye(p)[(m + second) % p] - 1 / p
    return y


def averaged(shares_first: bool, shares_second: bool) -> float:
    """E[(u + v)^2 (u' + v')^2] of N(0, 1), by quadrature that is exact at degree 4."""
    nodes, weights = hermegauss(5)
    grid = np.meshgrid(*[nodes] * 4)
    weight = np.prod(np.meshgrid(*[weights / weights.sum()] * 4), axis=0)
    u, v, other_u, other_v = grid
    other_u = u if shares_first else other_u
    other_v = v if shares_second else other_v
    return float((weight * (u + v) ** 2 * (other_u + other_v) ** 2).sum())


def test_eigenvalues_are_those_of_the_averaged_kernel() -> None:
    p = 7
    m, second = np.indices((p, p)).reshape(2, -1)
    one, two = np.equal.outer(m, m), np.equal.outer(second, second)
    kernel = np.zeros((p * p, p * p))
    for k in (False, True):
        for h in (False, True):
            kernel[(one == k) & (two == h)] = averaged(k, h)
    constant, single, rest = theory.kernel_eigenvalues(p)
    expected = np.sort([constant, *[single] * 2 * (p - 1), *[rest] * (p - 1) ** 2])
    np.testing.assert_allclose(np.linalg.eigvalsh(kernel), expected, rtol=1e-10)
    y = target(p)
    np.testing.assert_allclose(kernel @ y, rest * y, atol=1e-10)
    setting = Modular(p, 100, 0.1, 2e-5, 1.3)
    scale = 100 * 2e-5 * 1.3**2
    assert setting.eigenvalue == pytest.approx(rest * scale)
    left = np.linalg.solve(scale * kernel + 0.1 * np.eye(p * p), 0.1 * y)
    residual = (left * y).sum() / (y * y).sum()
    assert theory.gaussian_residual(setting) == pytest.approx(residual, rel=1e-10)


def test_much_noise_leaves_what_gaussian_neurons_leave() -> None:
    setting = Modular(11, 400, 5.0, 0.02 / 1600)
    law = theory.close(setting)
    learned = 1 - np.array([law.residual, theory.gaussian_residual(setting)])
    assert learned[0] == pytest.approx(learned[1], rel=0.01)
    mean = (law.probability * np.multiply.outer(law.power, law.power)).sum()
    assert mean == pytest.approx(1, abs=0.01)


def test_a_weak_coupling_lifts_the_product_by_three_times_itself() -> None:
    """<Phi Psi> of exp(-Phi - Psi + g Phi Psi) is 1 + 3 g + O(g^2); own output none."""
    noise, g = 1e-4, 0.004
    setting = Modular(11, 1, noise, g * noise**2 / 44)
    law = theory.close(setting)
    assert law.coupling == pytest.approx(g, rel=1e-3)
    free = theory.close(setting._replace(readout_variance=1e-4 * noise**2 / 44))
    means = [
        (one.probability * np.multiply.outer(one.power, one.power)).sum()
        for one in (law, free)
    ]
    assert means[0] / means[1] - 1 == pytest.approx(3 * g, rel=0.06)


def test_the_centre_is_a_minimum_behind_a_barrier_of_one_over_g() -> None:
    for g in (0.02, 0.3):
        x = np.linspace(0, 2 / g, 2001)
        s = np.array([theory.action(one, g) for one in x])
        assert s[1] > s[0] == 0 and s.max() == pytest.approx(1 / g)
        assert theory.action(2.1 / g, g) < 0  # and no lower bound


def exact_residual(setting: Modular, draws: int, seed: int) -> tuple[float, float]:
    """Mean share left, and its error, of the posterior itself: first layers from the
    prior, each with the evidence of its readout, a linear regression."""
    p, rng, y = setting.p, np.random.default_rng(seed), target(setting.p)
    m, second = np.indices((p, p)).reshape(2, -1)
    logs, shares = [], []
    for _ in range(draws):
        u, v = rng.normal(size=(2, p, setting.neurons))
        h = (u[m] + v[second]) ** 2
        gram = setting.readout_variance / setting.noise * h @ h.T + np.eye(p * p)
        left = np.linalg.solve(gram, y)
        shares.append((left * y).sum() / (y * y).sum())
        energy = (left * y).sum() / setting.noise
        logs.append(-(energy + p * np.linalg.slogdet(gram)[1]) / 2)
    weights = np.exp(np.array(logs) - np.max(logs))
    weights /= weights.sum()
    mean = float(weights @ shares)
    error = np.sqrt((weights**2) @ (np.array(shares) - mean) ** 2)
    return mean, float(error)


@pytest.mark.slow
def test_the_closed_law_is_near_a_small_networks_own_posterior() -> None:
    """Of the target, what few neurons learn less than many is the closed law's too."""
    setting = Modular(5, 20, 0.5, 0.05 / 80)
    mean, error = exact_residual(setting, 4000, 0)
    law = theory.close(setting)
    assert error < 0.002
    assert law.residual == pytest.approx(mean, abs=0.01)
    assert abs(theory.gaussian_residual(setting) - mean) > 3 * error
