"""Censored regression in log time: likelihood, maximum, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from grokmap.analysis.laws.data import Data
from grokmap.analysis.laws.table import Law
from grokmap.arrays import Floats


def log_likelihoods(law: Law, p: Floats, data: Data) -> Floats:
    """[runs] log density of log t_grok, or log P(t > n_steps); the last of p is the
    log of sigma."""
    # Parameters may diverge in the search: an overflow then is only a low likelihood.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        fitted = np.log(data["t_0"] + law.time(p[:-1], data))
        away = (np.log(data["time"]) - fitted) / np.exp(p[-1])
        density = -0.5 * away**2 - 0.5 * np.log(2 * np.pi) - p[-1]
        return np.where(data["grokked"], density, special.log_ndtr(-away))


class Fit(NamedTuple):
    """p: [k] parameters, the last the log of sigma; log_likelihood at them."""

    p: Floats
    log_likelihood: float


def fit(law: Law, data: Data, starts: list[list[float]] | None = None) -> Fit:
    """Most likely parameters, by Nelder and Mead's simplex from several starts.

    A simplex may collapse early: a second one starts from the end of each, and a third
    from the best of those.
    """

    def loss(p: Floats) -> float:
        value = -float(log_likelihoods(law, p, data).sum())
        return value if np.isfinite(value) else 1e12

    starts = starts or [[*s, np.log(0.5)] for s in law.start(data)]
    coarse = [_descend(loss, np.array(start, float), 1e-3) for start in starts]
    ends = [_descend(loss, end, 1e-5) for end in coarse]
    best = _descend(loss, min(ends, key=loss), 1e-5)
    return Fit(best, -loss(best))


def _descend(loss: Callable[[Floats], float], p: Floats, tolerance: float) -> Floats:
    options = {"maxiter": 3000, "xatol": 10 * tolerance, "fatol": tolerance}
    minimum = optimize.minimize(loss, p, method="Nelder-Mead", options=options)
    return np.asarray(minimum.x, np.float64)


def standard_errors(law: Law, best: Fit, data: Data) -> Floats:
    """[k] from the curvature of the log-likelihood; NaN where that gives no variance.

    Runs count as independent: seeds that share a split of the examples are not quite.
    """
    k, h = len(best.p), 1e-3

    def value(*moves: tuple[int, float]) -> float:
        p = best.p.copy()
        for i, move in moves:
            p[i] += move
        return float(log_likelihoods(law, p, data).sum())

    curve = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            ends = [a * b * value((i, a * h), (j, b * h)) for a, b in _SIGNS]
            curve[i, j] = -sum(ends) / (4 * h * h)
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.diag(np.linalg.pinv(curve, rcond=1e-9)))


_SIGNS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
