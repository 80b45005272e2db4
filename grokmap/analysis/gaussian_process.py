"""Gaussian processes of outcomes: grokked or not, a value, or "larger than this".

A latent function f of points x [n, d] in unit coordinates has the prior

    f ~ GP(0, a^2 (k(r) + 1)),  k(r) = (1 + sqrt(3) r) exp(-sqrt(3) r),
    r^2 = sum_j (x_j - x'_j)^2 / l_j^2,

Matern's of order 3/2 with a length l_j for each axis (Rasmussen and Williams, Gaussian
Processes for Machine Learning, 2006, Eq. 4.17), and a constant of its own. (Of order
5/2 f would be too smooth for edges with kinks, docs/boundaries.md.) An axis of choices
counts 1 where two points differ. Each datum has a likelihood t_i(f_i); their
product with the prior is replaced by a Gaussian whose factor of each datum is matched
to the first two moments of the exact factor, given the rest: expectation propagation
(same book, section 3.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from grokmap.arrays import Floats, Ints

SWEEPS = 100  # over all data, at most
CLOSE = 1e-3  # largest change of a datum's factor at which sweeps end
STEP, SLOWER = (
    0.6,
    20,
)  # share of a change that is made; sweeps after which it is halved
SEARCHED = 250  # data that the hyperparameters are learned from; of more, spread evenly
LEAST_PRECISION = 1e-10  # of a datum's factor; where it is not log-concave
MOST_STEPS = 40  # of the search for hyperparameters


class Moments(NamedTuple):
    """Of each datum's factor under a Gaussian of mean m and variance v, all [n].

    log_z: ln int t(f) N(f; m, v) df; slope: its derivative by m; curvature: minus its
    second derivative by m; by_noise: [k, n] its derivatives by the parameters of t.
    """

    log_z: Floats
    slope: Floats
    curvature: Floats
    by_noise: Floats


class Likelihood(Protocol):
    """What data say of f."""

    def moments(self, mean: Floats, variance: Floats, noise: Floats) -> Moments:
        """From m [n], v [n] and the parameters of the likelihood [k]."""

    def part(self, some: Ints) -> Likelihood:
        """Of some of the data."""


class Prior(NamedTuple):
    """ln of each hyperparameter ~ N(ln median, spread^2): lengths [d], a, those of t.

    bounds: [d + 1 + k, 2] of the hyperparameters themselves.
    """

    median: Floats
    spread: Floats
    bounds: Floats


class Process(NamedTuple):
    """A process given its data.

    points: [n, d]; lengths: [d]; amplitude: a; noise: [k] parameters of the likelihood;
    categorical: axes of choices; tau, nu: [n] precision, and precision times mean, of
    each datum's factor; weights: [n] and inverse: [n, n] such that the mean at x is
    k(x, points) @ weights, the covariance k(x, x') - k(x, points) @ inverse @
    k(points, x'); evidence: ln of the probability of the data, approximately.
    """

    points: Floats
    lengths: Floats
    amplitude: float
    noise: Floats
    categorical: tuple[int, ...]
    tau: Floats
    nu: Floats
    weights: Floats
    inverse: Floats
    evidence: float

    @property
    def logs(self) -> Floats:
        """[d + 1 + k] ln of the hyperparameters, in the order of `Prior`."""
        return np.log([*self.lengths, self.amplitude, *self.noise])

    def kernel(self, one: Floats, other: Floats) -> Floats:
        """[n, m] prior covariance of f at one [n, d] and other [m, d]."""
        squares = distances(one, other, self.categorical)
        return covariance(squares, self.lengths, self.amplitude)

    def mean(self, points: Floats) -> Floats:
        """[m] of f at points [m, d]."""
        return self.kernel(points, self.points) @ self.weights

    def variance(self, points: Floats) -> Floats:
        """[m] of f at points [m, d]."""
        cross = self.kernel(points, self.points)
        explained = np.einsum("mi,mi->m", cross @ self.inverse, cross)
        prior = 2 * self.amplitude**2
        return np.maximum(prior - explained, 1e-9 * prior)

    def posterior(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean [m] and covariance [m, m] of f at points [m, d]."""
        cross = self.kernel(points, self.points)
        spread = self.kernel(points, points) - cross @ self.inverse @ cross.T
        return cross @ self.weights, (spread + spread.T) / 2


def distances(one: Floats, other: Floats, categorical: Sequence[int] = ()) -> Floats:
    """[d, n, m] squared distances along each axis; 0 or 1 along one of choices."""
    squares = (one.T[:, :, None] - other.T[:, None, :]) ** 2
    for axis in categorical:
        squares[axis] = squares[axis] > 0
    return squares


def covariance(squares: Floats, lengths: Floats, amplitude: float) -> Floats:
    """Prior covariance [n, m] of `distances` [d, n, m]."""
    r = np.sqrt(3 * np.tensordot(lengths**-2.0, squares, 1))
    return amplitude**2 * ((1 + r) * np.exp(-r) + 1)


def _by_lengths(squares: Floats, lengths: Floats, amplitude: float) -> Floats:
    """[d, n, n] derivatives of `covariance` by ln of each length."""
    r = np.sqrt(3 * np.tensordot(lengths**-2.0, squares, 1))
    return amplitude**2 * 3 * np.exp(-r) * squares * lengths[:, None, None] ** -2.0


class _Fixed(NamedTuple):
    """What sweeps over the data end in."""

    tau: Floats
    nu: Floats
    weights: Floats
    inverse: Floats
    evidence: float
    by_noise: Floats


def propagate(
    prior: Floats,
    likelihood: Likelihood,
    noise: Floats,
    sites: tuple[Floats, Floats],
    close: float,
) -> _Fixed:
    """Sweeps over all data at once until their factors stay as they are.

    Args: prior: [n, n] covariance of f; sites: tau and nu [n] to begin with; close: as
    CLOSE.
    """
    tau, nu = sites
    for sweep in range(SWEEPS):
        root = np.sqrt(tau)
        factor = _factor(prior, root)
        half = solve_triangular(factor, root[:, None] * prior, lower=True)
        variance = np.diag(prior) - np.einsum("ij,ij->j", half, half)
        mean = prior @ nu - half.T @ (half @ nu)
        # The cavity: all that is known of f_i but for its own datum.
        rest = 1 / variance - tau
        middle, spread = (mean / variance - nu) / rest, 1 / rest
        found = likelihood.moments(middle, spread, noise)
        new = _matched(found, middle, spread)
        moved = max(_change(tau, new[0]), _change(nu, new[1]))
        if moved < close:
            break
        step = STEP / (1 + sweep // SLOWER)
        tau, nu = tau + step * (new[0] - tau), nu + step * (new[1] - nu)
    inverse = root[:, None] * cho_solve((factor, True), np.diag(root))
    total = tau + rest
    evidence = found.log_z.sum() - np.log(np.diag(factor)).sum() + nu @ mean / 2
    evidence += np.sum(np.log(total / rest) - nu**2 / total) / 2
    evidence += np.sum(middle * rest * (tau * middle - 2 * nu) / total) / 2
    weights = nu - inverse @ (prior @ nu)
    by_noise = found.by_noise.sum(axis=1)
    return _Fixed(tau, nu, weights, inverse, float(evidence), by_noise)


def _factor(prior: Floats, root: Floats) -> Floats:
    b = root[:, None] * prior * root
    b[np.diag_indices_from(b)] += 1
    return cholesky(b, lower=True, overwrite_a=True, check_finite=False)


def _matched(found: Moments, middle: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """tau and nu that give the cavity times the factor the moments of the exact one."""
    left = 1 - found.curvature * spread
    tau = np.maximum(found.curvature / left, LEAST_PRECISION)
    mean = middle + found.slope * spread
    return tau, mean * (tau + 1 / spread) - middle / spread


def _change(old: Floats, new: Floats) -> float:
    return float(np.max(np.abs(new - old) / (1 + np.abs(new)), initial=0.0))


def learn(
    points: Floats,
    likelihood: Likelihood,
    prior: Prior,
    categorical: Sequence[int] = (),
    start: Process | None = None,
) -> Process:
    """The process with the most probable hyperparameters.

    ln of the evidence plus ln of their prior is climbed (L-BFGS-B) from the prior's
    medians, or from those of `start`, a process of the same axes. Deterministic.

    Args: points: [n, d].
    """
    n = len(points)
    some = np.linspace(0, n - 1, min(n, SEARCHED)).astype(np.int64)
    squares = distances(points[some], points[some], categorical)
    first = np.log(prior.median) if start is None else start.logs
    logs = _search(squares, likelihood.part(some), prior, first)
    return given(points, likelihood, np.exp(logs), categorical)


def given(
    points: Floats,
    likelihood: Likelihood,
    values: Floats,
    categorical: Sequence[int] = (),
) -> Process:
    """The process with these hyperparameters, in the order of `Prior`."""
    d = points.shape[1]
    lengths, amplitude, noise = values[:d], float(values[d]), values[d + 1 :]
    squares = distances(points, points, categorical)
    prior = covariance(squares, lengths, amplitude)
    fixed = propagate(prior, likelihood, noise, _nothing(len(points)), CLOSE)
    kinds = tuple(categorical)
    return Process(points, lengths, amplitude, noise, kinds, *fixed[:-1])


def _nothing(n: int) -> tuple[Floats, Floats]:
    """Factors of data that say nothing."""
    return np.full(n, LEAST_PRECISION), np.zeros(n)


def _search(
    squares: Floats, likelihood: Likelihood, prior: Prior, first: Floats
) -> Floats:
    """ln of the most probable hyperparameters.

    In units of the prior's spread, in which L-BFGS-B's first steps are of a good size.
    """
    middle = np.log(prior.median)
    bounds = ((np.log(prior.bounds).T - middle) / prior.spread).T
    sites = _nothing(squares.shape[1])

    def loss(off: Floats) -> tuple[float, Floats]:
        nonlocal sites
        values = np.exp(middle + prior.spread * off)
        fixed, slope = _evidence(squares, likelihood, values, sites)
        sites = (fixed.tau, fixed.nu)
        value = float(off @ off) / 2 - fixed.evidence
        return value, off - prior.spread * slope

    start = np.clip((first - middle) / prior.spread, *bounds.T)
    options = {"maxiter": MOST_STEPS, "ftol": 1e-4, "gtol": 0.05}
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return middle + prior.spread * found.x


def _evidence(
    squares: Floats,
    likelihood: Likelihood,
    values: Floats,
    sites: tuple[Floats, Floats],
) -> tuple[_Fixed, Floats]:
    """The fixed point, and the derivative of its evidence by ln of each value.

    At the fixed point the factors are stationary, so only what is explicit counts
    (Rasmussen and Williams, section 5.5.2).
    """
    d = len(squares)
    lengths, amplitude, noise = values[:d], float(values[d]), values[d + 1 :]
    prior = covariance(squares, lengths, amplitude)
    fixed = propagate(prior, likelihood, noise, sites, CLOSE)
    outer = np.outer(fixed.weights, fixed.weights) - fixed.inverse
    by_lengths = np.tensordot(_by_lengths(squares, lengths, amplitude), outer, 2) / 2
    by_amplitude = np.sum(outer * prior)
    return fixed, np.concatenate([by_lengths, [by_amplitude], fixed.by_noise * noise])
