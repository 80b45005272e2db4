"""Means of functions of correlated normal variables, in float64.

Three ways, each where it converges fast: integrals in the plane, cut where activations
have their kink; a sum over a grid, for smooth functions of several variables; and
series in Hermite polynomials, whose terms are what field theory calls vertices and
propagators.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from grokmap.arrays import Floats

# Standard deviations beyond which the normal density (1e-32) counts as 0.
FARTHEST = 12.0
RADIAL, ANGULAR = 120, 48  # nodes of Gauss and Legendre's rule, a piece
REACH, SPACING = 8.0, 0.3  # of a grid in several dimensions
LEAST_VARIANCE = 1e-12  # share of the largest, below which a direction has none


def pair_mean(g: Callable[[Floats, Floats], Floats], covariance: Floats) -> float:
    """E g(h, h'), (h, h') normal of mean 0 and covariance [2, 2].

    g: smooth but for kinks or jumps where h = 0 or h' = 0, growing no faster than a
    power. In polar coordinates those are rays, between which Gauss and Legendre's rule
    converges exponentially.
    """
    axes = _axes(covariance)
    if axes.shape[1] < 2:
        z, weight = _half_line(lambda z: np.exp(-z * z / 2) / np.sqrt(2 * np.pi))
        z, weight = np.concatenate([-z, z]), np.concatenate([weight, weight])
        h, other = axes * z if axes.shape[1] else np.zeros((2, len(z)))
        return float(weight @ g(h, other))
    # h = 0 where the direction is orthogonal to the first row, h' = 0 to the second.
    rays = np.arctan2(axes[:, 0], -axes[:, 1])
    ends = np.sort(np.concatenate([rays, rays + np.pi]) % (2 * np.pi))
    middle = ends + np.diff(ends, append=ends[0] + 2 * np.pi) / 2
    half = np.repeat(middle - ends, ANGULAR)
    nodes, weights = _legendre(ANGULAR)
    angle = np.repeat(middle, ANGULAR) + half * np.tile(nodes, len(ends))
    of_angle = half * np.tile(weights, len(ends)) / (2 * np.pi)
    radius, of_radius = _half_line(lambda rho: rho * np.exp(-rho * rho / 2))
    h, other = axes @ np.stack([np.cos(angle), np.sin(angle)])
    values = g(h[:, None] * radius, other[:, None] * radius)
    return float(of_angle @ values @ of_radius)


def joint_mean(g: Callable[[Floats], Floats], covariance: Floats) -> float:
    """E g(h), h normal of mean 0 and covariance [k, k], k up to 4.

    g: [k, points] -> [points], smooth. A sum over an even grid (the trapezoidal rule),
    whose error for an analytic function falls as exp(-2 pi d / SPACING), d the distance
    of its singularities from the real axis (Trefethen and Weideman, SIAM Review 56, 385
    (2014)). Gauss and Hermite's rule with as many nodes is at its best for polynomials,
    and for a tanh much worse.
    """
    axes = _axes(covariance)
    z = np.arange(-np.floor(REACH / SPACING), REACH / SPACING) * SPACING
    mass = np.exp(-z * z / 2) / np.sum(np.exp(-z * z / 2))
    rest = axes.shape[1] - 1
    places = np.indices((len(z),) * rest).reshape(rest, len(z) ** rest)
    of_rest, fixed = mass[places].prod(axis=0), axes[:, 1:] @ z[places]
    # A slice at a time: all of a grid in four dimensions would take gigabytes.
    slices = [g(axes[:, :1] * place + fixed) @ of_rest for place in z]
    return float(mass @ slices)


def hermite_coefficients(
    function: Callable[[Floats], Floats], n: int, variance: float = 1.0
) -> Floats:
    """[n] V_k / sqrt(k!), V_k = E He_k(z) f(sqrt(variance) z), z ~ N(0, 1).

    He_k: Hermite's polynomials of the normal density (He_2 = z^2 - 1). The square sum
    of all is E f^2. function: smooth but for a kink or jump at 0.
    """
    count = RADIAL + 2 * n
    z, weight = _half_line(lambda z: np.exp(-z * z / 2) / np.sqrt(2 * np.pi), count)
    z, weight = np.concatenate([-z, z]), np.concatenate([weight, weight])
    weighted = weight * function(np.sqrt(variance) * z)
    before, now = np.zeros_like(z), np.ones_like(z)
    found = np.empty(n)
    for k in range(n):
        found[k] = weighted @ now
        before, now = now, (z * now - np.sqrt(k) * before) / np.sqrt(k + 1)
    return found


def series_mean(one: Floats, two: Floats, correlation: float) -> Floats:
    """[n] partial sums of E f(h) g(h') = sum_k V_k W_k rho^k / k!.

    one, two: [n] `hermite_coefficients` of f and of g, each at the variance of its own
    variable; correlation: rho of h and h'. Mehler (1866). The term of order k is two
    k-point vertices that k propagators join. As few are enough as rho^k is small, or f
    is smooth: of a relu at rho = 1 what is left out falls only as n^(-3/2).
    """
    return np.cumsum(one * two * correlation ** np.arange(len(one)))


def _axes(covariance: Floats) -> Floats:
    """[k, rank] matrix A with A A' = covariance, without directions of no variance."""
    values, vectors = np.linalg.eigh(covariance)
    known = values > LEAST_VARIANCE * max(values[-1], 0.0)
    return np.asarray(vectors[:, known] * np.sqrt(values[known]))


def _half_line(
    density: Callable[[Floats], Floats], count: int = RADIAL
) -> tuple[Floats, Floats]:
    """Nodes on (0, FARTHEST) and their weights under a density."""
    nodes, weights = _legendre(count)
    z = FARTHEST * (nodes + 1) / 2
    return z, FARTHEST / 2 * weights * density(z)


@lru_cache(maxsize=8)
def _legendre(count: int) -> tuple[Floats, Floats]:
    """Nodes on (-1, 1) and weights of Gauss and Legendre's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights
