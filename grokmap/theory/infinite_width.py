"""The tangent kernel of a two-layer network of infinitely many neurons, closed form.

f(x) = prefactor sum_j a_j sigma(w_j.x), a, w ~ N(0, 1), so that h = w.x is Gaussian of
covariance x.x': for pairs of tokens, h = u[a] + v[b], the number of tokens that two
pairs share; for real inputs x.x'/d. With time in steps of a learning rate that moves f
at O(1) (`models.scale`), whatever N and alpha,

    Theta(x, x') = E sigma(h) sigma(h') + E sigma'(h) sigma'(h') x.x',

the same for each output, none of which feels another. Averages over (h, h') of
variances v, v' and covariance c: Cho and Saul (NIPS 2009) for relu, Williams (NIPS
1996) for erf, Isserlis' theorem for squares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from grokmap.arrays import Floats, Ints

Average = Callable[[Floats, Floats, Floats], Floats]


class Averages(NamedTuple):
    """E sigma(h) sigma(h') and E sigma'(h) sigma'(h') as functions of (v, v', c)."""

    products: Average
    slopes: Average


def _angle(v: Floats, w: Floats, c: Floats) -> Floats:
    return np.arccos(np.clip(c / np.sqrt(v * w), -1, 1))


def _relu(v: Floats, w: Floats, c: Floats) -> Floats:
    angle = _angle(v, w, c)
    turned = np.sin(angle) + (np.pi - angle) * np.cos(angle)
    return np.asarray(np.sqrt(v * w) * turned / (2 * np.pi))


def _erf(v: Floats, w: Floats, c: Floats) -> Floats:
    return 2 / np.pi * np.arcsin(2 * c / np.sqrt((1 + 2 * v) * (1 + 2 * w)))


def _erf_slope(v: Floats, w: Floats, c: Floats) -> Floats:
    return 4 / np.pi / np.sqrt((1 + 2 * v) * (1 + 2 * w) - 4 * c * c)


AVERAGES: dict[str, Averages] = {
    "quadratic": Averages(lambda v, w, c: v * w + 2 * c * c, lambda v, w, c: 4 * c),
    "relu": Averages(_relu, lambda v, w, c: (np.pi - _angle(v, w, c)) / (2 * np.pi)),
    "erf": Averages(_erf, _erf_slope),
}


def tangent_kernel(covariance: Floats, activation: str) -> Floats:
    """[n, n] Theta from x.x' [n, n] of all examples.

    Raises:
      ValueError: an activation of which no closed form is known here.
    """
    if activation not in AVERAGES:
        known = ", ".join(AVERAGES)
        raise ValueError(f"no closed form for activation {activation!r}; for: {known}")
    variance = np.diag(covariance)
    arguments = (variance[:, None], variance[None, :], covariance)
    products, slopes = (average(*arguments) for average in AVERAGES[activation])
    return np.asarray(products + slopes * covariance)


def shared_tokens(pairs: Ints) -> Floats:
    """[n, n] tokens that two of the pairs [n, 2] share, each in its place: 0 to 2."""
    return np.sum(pairs[:, None, :] == pairs[None, :, :], axis=-1).astype(float)


def products(x: Floats) -> Floats:
    """[n, n] x.x' / d of real inputs [n, d]."""
    return np.asarray(x @ x.T / x.shape[1])


class Levels(NamedTuple):
    """Eigenvalues of Theta on all p^2 pairs of tokens.

    mean: of the constant. sums: of functions of one token alone, 2 (p - 1) of them.
    rest: of all that is left, (p - 1)^2 of them: every function of a + b mod p but for
      its mean is here.
    """

    mean: float
    sums: float
    rest: float


def levels(modulus: int, activation: str) -> Levels:
    """Of p = modulus, from Theta at 0, 1 and 2 shared tokens.

    Theta = t_0 + (t_1 - t_0) (same a + same b) + (t_2 - 2 t_1 + t_0) (same pair).
    """
    pairs = np.array([[0, 0], [0, 1], [1, 2]])
    theta = tangent_kernel(shared_tokens(pairs), activation)
    none, one, both = float(theta[0, 2]), float(theta[0, 1]), float(theta[0, 0])
    rest = both - 2 * one + none
    sums = modulus * (one - none) + rest
    return Levels(modulus**2 * none + 2 * modulus * (one - none) + rest, sums, rest)
