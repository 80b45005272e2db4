"""Means of correlated normals against closed forms: arcs of sines and cosines, Wick."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import erf

from grokmap.arrays import Floats
from grokmap.theory.gaussian import (
    hermite_coefficients,
    joint_mean,
    pair_mean,
    series_mean,
)

PAIRS = [(1.0, 1.0, 0.3), (2.0, 0.5, -0.9), (2.0, 2.0, 2.0), (2.0, 2.0, 0.0)]


def covariance(q1: float, q2: float, r: float) -> Floats:
    return np.array([[q1, r], [r, q2]])


def relu(h: Floats) -> Floats:
    return np.maximum(h, 0)


def of_both(f: Callable[[Floats], Floats]) -> Callable[[Floats, Floats], Floats]:
    return lambda h, other: f(h) * f(other)


@pytest.mark.parametrize(("q1", "q2", "r"), PAIRS)
def test_relu_powers_are_arc_cosines(q1: float, q2: float, r: float) -> None:
    # E (h h')^n step step' = (q1 q2)^(n/2) J_n / 2 pi: Cho and Saul, NeurIPS 2009.
    cosine = np.clip(r / np.sqrt(q1 * q2), -1, 1)
    angle = np.arccos(cosine)
    sine, left = np.sin(angle), np.pi - angle
    arcs = [left, sine + left * cosine, 3 * sine * cosine + left * (1 + 2 * cosine**2)]
    for n, arc in enumerate(arcs):
        found = pair_mean(
            of_both(lambda h, n=n: np.heaviside(h, 0) * h**n), covariance(q1, q2, r)
        )
        assert found == pytest.approx((q1 * q2) ** (n / 2) * arc / (2 * np.pi))


@pytest.mark.parametrize(("q1", "q2", "r"), PAIRS)
def test_erf_is_an_arc_sine(q1: float, q2: float, r: float) -> None:
    # Williams, Neural Computation 10, 1203 (1998).
    both = (1 + 2 * q1) * (1 + 2 * q2)
    exact = 2 / np.pi * np.arcsin(2 * r / np.sqrt(both))
    assert pair_mean(of_both(erf), covariance(q1, q2, r)) == pytest.approx(exact)
    slopes = 4 / np.pi / np.sqrt(both - 4 * r**2)
    found = pair_mean(
        of_both(lambda h: 2 / np.sqrt(np.pi) * np.exp(-h * h)), covariance(q1, q2, r)
    )
    assert found == pytest.approx(slopes)


def test_moments_are_wicks() -> None:
    q1, q2, r = 2.0, 0.7, -0.6
    sixth = 9 * q1 * q2 * r + 6 * r**3
    found = pair_mean(lambda h, other: (h * other) ** 3, covariance(q1, q2, r))
    assert found == pytest.approx(sixth)
    # E h1 h2 h3 h4: the sum over its three pairings, in four and in three dimensions.
    factor = np.random.default_rng(0).standard_normal((4, 4))
    for matrix in (factor @ factor.T, factor[:, :3] @ factor[:, :3].T):
        pairings = sum(
            matrix[0, i] * matrix[j, k] for i, j, k in ((1, 2, 3), (2, 1, 3), (3, 1, 2))
        )
        found = joint_mean(lambda h: h.prod(axis=0), matrix)
        assert found == pytest.approx(pairings, rel=1e-8)


def test_one_normal_twice_is_one_variable() -> None:
    assert joint_mean(lambda h: h[0] * h[1], np.full((2, 2), 2.0)) == pytest.approx(2)
    assert pair_mean(lambda h, other: h * other, np.zeros((2, 2))) == 0


def test_coefficients_of_a_polynomial_are_its_own() -> None:
    # z^3 + 2 z^2 = He_3 + 3 He_1 + 2 He_2 + 2, and z^3 of variance 4 has 8 of He_3.
    found = hermite_coefficients(lambda z: z**3 + 2 * z**2, 6)
    root = np.sqrt([1, 1, 2, 6, 24, 120])
    np.testing.assert_allclose(found * root, [2, 3, 4, 6, 0, 0], atol=1e-10)
    wide = hermite_coefficients(lambda h: h**3, 5, variance=4.0)
    np.testing.assert_allclose(wide, [0, 24, 0, 8 * np.sqrt(6), 0], atol=1e-10)


def test_coefficients_of_the_relu_are_known() -> None:
    # V_0 = 1/sqrt(2 pi), V_1 = 1/2, V_k = (-1)^(k/2 + 1) (k - 3)!! / sqrt(2 pi), 0.
    found = hermite_coefficients(relu, 9)
    root = np.sqrt([1, 1, 2, 6, 24, 120, 720, 5040, 40320])
    exact = np.array([1, 0, 1, 0, -1, 0, 3, 0, -15]) / np.sqrt(2 * np.pi)
    exact[1] = 0.5
    np.testing.assert_allclose(found * root, exact, atol=1e-9)


def test_series_converge_as_smoothness_and_correlation_say() -> None:
    # An erf's terms fall as (2q / (1 + 2q))^k rho^k, a relu's at
    # rho = 1 as k^(-5/2), so that what is left of 1/2 falls as n^(-3/2).
    smooth = series_mean(*[hermite_coefficients(erf, 41)] * 2, 0.5)
    exact = 2 / np.pi * np.arcsin(1 / 3)
    assert abs(smooth[-1] - exact) < 1e-13 < 1e-4 < abs(smooth[2] - exact)
    coefficients = hermite_coefficients(relu, 81)
    left = 0.5 - series_mean(coefficients, coefficients, 1.0)[[20, 40, 80]]
    np.testing.assert_allclose(np.diff(np.log2(left)), -1.5, atol=0.05)
    closer = series_mean(coefficients, coefficients, 0.9)[-1]
    exact = pair_mean(of_both(relu), covariance(1, 1, 0.9))
    assert closer == pytest.approx(exact, abs=1e-6)
