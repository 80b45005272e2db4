"""Rubin's teacher at equilibrium: the theory closed, from (n, d, N, sigma^2) alone.

Rubin, Seroussi and Ringel (arXiv 2310.03789). Posterior of f(x) = sum_j a_j erf(w_j.x),
x ~ N(0, I_d), of N neurons under a_j ~ N(0, sigma_a^2 / N), w_j ~ N(0, sigma_w^2 I / d)
and noise sigma^2 of the targets H1(w*.x) + epsilon H3(w*.x) of n examples. For many
neurons the mean output is fixed, and with it the residual of the target,

    y - f = b H1(w*.x) + c H3(w*.x) + ...

Neurons are then independent. With the readout integrated out and sums over examples
taken for n times means, a neuron has the weight (own derivation of their Eq. for S)

    p(w) ~ prior(w) exp[(sigma_a^2 / 2N) (n / sigma^2)^2 g(w)^2],
    g = b e_1 + c e_3,  e_1 = (2/sqrt(pi)) r,  e_3 = -(4/sqrt(pi)) r^3,
    r = Phi / sqrt(1 + 2 |w|^2),  Phi = w.w*,

e_k the mean of H_k(w*.x) erf(w.x): `rubin.teacher_action`, but for the length of w
beside the teacher, which here is drawn and not fixed at its prior mean. The closure:
(b, c) is where

    G = (n / sigma^2) [(b^2 + 6 c^2) / 2 - b - 6 epsilon c] + N ln z(b, c)

is least, z the normalisation of p (the gradient of G says that what N neurons put out
is what the residual lacks). G is convex, a cumulant generating function plus a square:
so there is one solution at any noise. What jumps is the law of a neuron, never f.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from grokmap.arrays import Floats
from grokmap.theory.rubin import (
    Teacher,
    teacher_action,
    teacher_spinodal,
    teacher_transition,
)

EPSILON = -0.3  # of H3 in the paper's teacher
POINTS, LARGEST = 401, 3.0  # of the grid of Phi >= 0
LENGTHS, TAIL = 32, 1e-10  # of the grid of |w|^2 beside the teacher


class Posterior(NamedTuple):
    """n examples of d inputs, N neurons; noise: sigma^2; weight_variance: sigma_w^2;
    readout_variance: sigma_a^2, N times that of a readout weight. All above 0."""

    n: int
    d: int
    neurons: int
    noise: float
    weight_variance: float = 0.5
    readout_variance: float = 8 / 700

    @property
    def precision(self) -> float:
        """n / sigma^2."""
        return self.n / self.noise

    @property
    def coupling(self) -> float:
        """u = n^2 sigma_a^2 / (sigma^4 d N)."""
        return self.precision**2 * self.readout_variance / (self.d * self.neurons)


class Closed(NamedTuple):
    """The solution. b, c: what is left of H1 and H3; linear, cubic: 1 - b and
    epsilon - c, the parts of f. overlap: [k] Phi >= 0; density: [k] of |Phi|, which
    sums to 1; length: mean |w|^2."""

    b: float
    c: float
    linear: float
    cubic: float
    overlap: Floats
    density: Floats
    length: float


def paper(noise: float) -> Posterior:
    """Their sizes: N = 700, n = 3000, d = 150, sigma_w^2 = 0.5, sigma_a^2 = 8 / N."""
    return Posterior(3000, 150, 700, noise)


def scaled(setting: Posterior, n: int, d: int, neurons: int) -> Posterior:
    """The same theory at other sizes: u and n / (sigma^2 N) stay.

    G / N and the action per dimension are then those of `setting`; that is sigma^2 ~
    n / N and sigma_a^2 ~ d / N, as in the scaling of the paper.
    """
    noise = setting.noise * n / setting.n * setting.neurons / neurons
    share = d / setting.d * setting.neurons / neurons
    variance = setting.readout_variance * share
    return Posterior(n, d, neurons, noise, setting.weight_variance, variance)


def close(setting: Posterior) -> Closed:
    """The least G, by descent from the residual of a Gaussian process."""
    (overlap, length), log_prior, (linear, cubic) = _prior(setting)
    strength = setting.readout_variance * setting.precision
    gain = strength * setting.precision / (2 * setting.neurons)

    def law(b: float, c: float) -> tuple[float, Floats]:
        exponent = log_prior + gain * (b * linear + c * cubic) ** 2
        most = float(exponent.max())
        weights = np.exp(exponent - most)
        return most + float(np.log(weights.sum())), weights / weights.sum()

    def objective(residual: Floats) -> tuple[float, Floats]:
        """G sigma^2 / n, and its gradient."""
        b, c = residual
        log_z, p = law(b, c)
        g = strength * p * (b * linear + c * cubic)
        left = (b**2 + 6 * c**2) / 2 - b - 6 * EPSILON * c
        slope = [
            b - 1 + float((g * linear).sum()),
            6 * (c - EPSILON) + float((g * cubic).sum()),
        ]
        return left + setting.neurons / setting.precision * log_z, np.array(slope)

    start = np.subtract((1.0, EPSILON), gaussian_process(setting))
    done = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    b, c = map(float, done.x)
    p = law(b, c)[1]
    mean_length = float((p * length).sum())
    return Closed(b, c, 1 - b, EPSILON - c, overlap[:, 0], p.sum(axis=1), mean_length)


def gaussian_process(setting: Posterior) -> tuple[float, float]:
    """(linear, cubic) of infinitely many neurons at this sigma_a^2: f of the kernel.

    (b, c) of G to second order: (1 - b, 6 (epsilon - c)) = k M (b, c), k = sigma_a^2
    n / sigma^2, M the prior means of e_i e_j. That of e_3^2 falls as d^-3, so that H3
    takes n ~ d^3 examples.
    """
    _, log_prior, (first, third) = _prior(setting)
    p = np.exp(log_prior - log_prior.max())
    p /= p.sum()
    moments = [[(p * x * y).sum() for x in (first, third)] for y in (first, third)]
    norms = np.array([1.0, 6.0])
    strength = setting.readout_variance * setting.precision
    matrix = np.diag(norms) + strength * np.array(moments)
    b, c = np.linalg.solve(matrix, norms * (1.0, EPSILON))
    return float(1 - b), float(EPSILON - c)


def examples_needed(setting: Posterior, cubic: float, most: float = 1e12) -> float:
    """n at which a Gaussian process has this cubic part, all else as in `setting`.

    Searched from n of `setting` to `most`, where it has to have more of it.
    """

    def missing(log_n: float) -> float:
        at = setting._replace(n=np.exp(log_n))
        return gaussian_process(at)[1] / cubic - 1

    return float(np.exp(brentq(missing, np.log(setting.n), np.log(most))))


def peaks(closed: Closed) -> tuple[bool, float]:
    """Whether the density of Phi peaks at 0, and where it does beyond (0: nowhere).

    GFL: the first alone; GMFL-I: both, a mixture; GMFL-II: only that beyond.
    """
    p = closed.density.copy()
    p[0] *= 2  # of |Phi|: both signs but at 0
    inside = np.flatnonzero((p[1:-1] > p[:-2]) & (p[1:-1] >= p[2:])) + 1
    beyond = float(closed.overlap[inside[-1]]) if len(inside) else 0.0
    return bool(p[0] > p[1]), beyond


def unspecialised_residual(setting: Posterior) -> float:
    """b of the Gaussian phase as d grows, where all neurons are at Phi^2 ~ 1/d.

    1 - b = A (4/pi) b s / (q - 4 u b^2 s / pi), A = sigma_a^2 n / (sigma^2 d),
    s = sigma_w^2, q = 1 + 2 s: the variance of Phi in the curvature of the action at 0.
    """
    s = setting.weight_variance
    q = 1 + 2 * s
    strength = setting.readout_variance * setting.precision / setting.d

    def missing(b: float) -> float:
        curvature = q - 4 * setting.coupling * b**2 * s / np.pi
        return (1 - b) * curvature - strength * 4 / np.pi * b * s

    spinodal = teacher_spinodal(Teacher(1.0, EPSILON, s))  # at b = 1; else u b^2
    most = min(1.0, float(np.sqrt(spinodal / setting.coupling)))
    return float(brentq(missing, 0.0, most, xtol=1e-12))


def transition(setting: Posterior, least: float, most: float) -> float:
    """sigma^2 in [least, most] at which the finite wells are as deep as that at 0.

    As d grows; from GFL to GMFL-I. noise of `setting` is not read.
    """

    def beyond(noise: float) -> float:
        at = setting._replace(noise=noise)
        b = unspecialised_residual(at)
        needed, _ = teacher_transition(Teacher(b, EPSILON, at.weight_variance))
        return at.coupling - needed

    return float(brentq(beyond, least, most, xtol=1e-6))


def metastable(setting: Posterior, least: float, most: float) -> float:
    """sigma^2 in [least, most] below which finite wells exist in the Gaussian phase.

    As d grows: the spinodal of the specialised state, on the grid of Phi.
    """
    grid = np.linspace(0.05, LARGEST, POINTS)

    def lowest_slope(noise: float) -> float:
        at = setting._replace(noise=noise)
        b = unspecialised_residual(at)
        teacher = Teacher(b, EPSILON, at.weight_variance)
        action = [teacher_action(phi, at.coupling, teacher) for phi in grid]
        return float(np.diff(action).min())

    return float(brentq(lowest_slope, least, most, xtol=1e-5))


def _prior(
    setting: Posterior,
) -> tuple[tuple[Floats, Floats], Floats, tuple[Floats, Floats]]:
    """((Phi [k, 1], |w|^2 [k, l]), log of the prior weight [k, l], (e_1, e_3) [k, l]).

    |w|^2 beside the teacher is sigma_w^2 / d times chi-squared of d - 1 degrees of
    freedom. Sums at equal distances: of smooth functions that vanish at both ends.
    """
    scale = setting.weight_variance / setting.d
    squares = chi2(setting.d - 1)
    low, high = squares.ppf([TAIL, 1 - TAIL])
    beside = np.linspace(float(low), float(high), LENGTHS)[None, :]
    overlap = np.linspace(0, LARGEST, POINTS)[:, None]
    length = scale * beside + overlap**2
    log_prior = -(overlap**2) / (2 * scale) + squares.logpdf(beside)
    log_prior[0] -= np.log(2)  # a point at 0 counts once, others for both signs
    ratio = overlap / np.sqrt(1 + 2 * length)
    overlaps = 2 / np.sqrt(np.pi) * ratio, -4 / np.sqrt(np.pi) * ratio**3
    return (overlap, length), log_prior, overlaps
