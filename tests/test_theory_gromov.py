"""Analytic weights of modular addition, arXiv 2301.02679."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.theory import gromov


def test_outputs_by_the_formula() -> None:
    w1, w2 = gromov.analytic_weights(5, 7, seed=0)
    f = gromov.outputs(w1, w2)
    x = np.zeros(10)
    x[2], x[5 + 4] = 1, 1
    np.testing.assert_allclose(f[2, 4], w2 @ (w1 @ x) ** 2 / (2 * 5 * 7))


def test_wide_networks_add_and_narrow_ones_do_not() -> None:
    found = [
        np.mean([gromov.accuracy(*gromov.analytic_weights(23, n, s)) for s in range(3)])
        for n in (8, 22, 200)
    ]
    assert found == sorted(found)
    assert found[0] < 0.6 and found[2] == 1


def test_phases_must_match() -> None:
    w1, _ = gromov.analytic_weights(23, 200, seed=0)
    _, other = gromov.analytic_weights(23, 200, seed=1)
    assert gromov.accuracy(w1, other) < 0.2


def test_phases_of_analytic_weights_match_and_of_random_ones_do_not() -> None:
    w1, w2 = gromov.analytic_weights(23, 200, seed=0)
    np.testing.assert_allclose(gromov.phase_match(w1, w2), 1.0, atol=1e-12)
    shift = np.fft.irfft(np.fft.rfft(w2.T) * np.exp(2j * np.pi / 3), 23).T
    np.testing.assert_allclose(gromov.phase_match(w1, shift), -0.5, atol=1e-12)
    noise = np.random.default_rng(0)
    rows = noise.standard_normal((4000, 46)), noise.standard_normal((23, 4000))
    assert abs(gromov.phase_match(*rows).mean()) < 4 / np.sqrt(2 * 4000)


def test_known_participations() -> None:
    rows = gromov.analytic_weights(23, 6, seed=0)[0][:, :23]
    half, full = np.fft.rfft(rows), np.fft.fft(rows)
    np.testing.assert_allclose(gromov.inverse_participation(half), 1)
    np.testing.assert_allclose(gromov.inverse_participation(full), 0.5)
    flat = np.ones((1, 8), complex)
    np.testing.assert_allclose(gromov.inverse_participation(flat), 1 / 8)


def test_known_ginis() -> None:
    # Uniform on [0, 1]: 1/3. Rayleigh: 1 - 1/sqrt(2).
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(gromov.gini(rng.random((1, 200_000))), 1 / 3, rtol=0.01)
    rayleigh = np.abs(rng.standard_normal((1, 200_000, 2)) @ [1, 1j])
    np.testing.assert_allclose(gromov.gini(rayleigh), 1 - 0.5**0.5, rtol=0.01)
    np.testing.assert_allclose(gromov.gini(np.array([[0, 0, 0, 2.0]])), 0.75)
    np.testing.assert_allclose(gromov.gini(np.ones((1, 5))), 0, atol=1e-12)


def test_baselines_tend_to_their_limits() -> None:
    half, full, gini = gromov.gaussian_baselines(1001, 1000, seed=0)
    assert half == pytest.approx(4 / 1001, rel=0.02)
    assert full == pytest.approx(2 / 1001, rel=0.02)
    assert gini == pytest.approx(1 - 0.5**0.5, rel=0.01)
