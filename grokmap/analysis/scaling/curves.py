"""P(grok) along the axis: a logistic curve for each size, and where they cross."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from grokmap.analysis.scaling.ensemble import Ensemble, counts
from grokmap.arrays import Floats

NEWTON_STEPS = 60
LONGEST_STEP = 2.0  # in standardised coefficients
# A crossing further out lies in a tail that a logistic curve only extrapolates.
LOWEST_CROSSING = 0.05


class Curves(NamedTuple):
    """Logistic fits P = 1 / (1 + exp(-slope (place - half))), [B, S] each.

    half: where P = 1/2, in `place`; NaN outside of the size's measured values.
    slope: per unit of `place`; negative where P falls.
    """

    half: Floats
    slope: Floats


def fit_curves(ensemble: Ensemble, weights: Floats) -> Curves:
    """Fits each size's P(grok) in each resample (weights [B, R]).

    Where P = 1/2 is estimated, with its interval, by `boundaries.midpoint`, as in every
    diagram. Slopes, and what sizes have in common (crossings, exponents, the collapse),
    need a whole curve of each size in each of some hundred resamples of whole seeds,
    which that posterior of one place does not give: hence these fits.
    """
    successes, trials = counts(ensemble.grok, weights)
    intercept, slope = logistic(successes, trials, ensemble.place)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = -intercept / slope
    measured = np.where(trials > 0, ensemble.place, np.nan)
    with np.errstate(invalid="ignore"):
        low = np.fmin.reduce(measured, axis=-1)
        high = np.fmax.reduce(measured, axis=-1)
        inside = (half >= low) & (half <= high)
    return Curves(np.where(inside, half, np.nan), np.where(inside, slope, np.nan))


def logistic(successes: Floats, trials: Floats, x: Floats) -> tuple[Floats, Floats]:
    """(intercept, slope), each [...], of logit P = intercept + slope x.

    Args:
      successes, trials: [..., K] counts; x: [K].

    Maximum likelihood with Jeffreys' prior (Firth, Biometrika 80, 27 (1993)), by
    Newton's method: the slope stays finite where no x has both outcomes. It is then
    set by the spacing of x, not by the runs.
    """
    centre, scale = x.mean(), x.std()
    design = np.stack([np.ones_like(x), (x - centre) / scale], axis=1)
    beta = np.zeros((*trials.shape[:-1], 2))
    for _ in range(NEWTON_STEPS):
        p = expit(beta @ design.T)
        spread = trials * p * (1 - p)
        information = np.einsum("...k,ki,kj->...ij", spread, design, design)
        covariance = np.linalg.inv(information + 1e-9 * np.eye(2))
        leverage = np.einsum("ki,...ij,kj->...k", design, covariance, design)
        leverage *= spread
        score = (successes - trials * p + leverage * (0.5 - p)) @ design
        step = np.einsum("...ij,...j->...i", covariance, score)
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        step *= np.minimum(1, LONGEST_STEP / np.maximum(length, 1e-300))
        beta = beta + step
        if length.max() < 1e-8:
            break
    slope = beta[..., 1] / scale
    return beta[..., 0] - slope * centre, slope


def crossings(ensemble: Ensemble, curves: Curves) -> Floats:
    """[B, S - 1] places where the curves of successive sizes cross, NaN where they
    do not within the axis and 0.05 < P < 0.95."""
    half, slope = curves
    with np.errstate(divide="ignore", invalid="ignore"):
        level = half * slope
        place = (level[:, 1:] - level[:, :-1]) / (slope[:, 1:] - slope[:, :-1])
        p = expit(slope[:, 1:] * (place - half[:, 1:]))
        inside = (place >= ensemble.place[0]) & (place <= ensemble.place[-1])
        inside &= (p > LOWEST_CROSSING) & (p < 1 - LOWEST_CROSSING)
    return np.where(inside, place, np.nan)


def size_exponent(sizes: Floats, values: Floats) -> Floats:
    """[B] d ln |value| / d ln size by least squares, from values [B, S].

    Of the slopes it estimates 1/nu, with a midpoint of its own for each size; of the
    midpoints it tells how they drift. NaN where the values differ in sign, or exist at
    fewer than 2 sizes.
    """
    known = np.isfinite(values) & (values != 0)
    one_way = ~((values > 0).any(axis=1) & (values < 0).any(axis=1))
    n = known.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(known, np.log(np.abs(values)), 0.0)
        x = np.where(known, np.log(sizes), 0.0)
        sxx = (x**2).sum(axis=1) - x.sum(axis=1) ** 2 / n
        sxy = (x * y).sum(axis=1) - x.sum(axis=1) * y.sum(axis=1) / n
        return np.where(one_way & (n >= 2), sxy / sxx, np.nan)
