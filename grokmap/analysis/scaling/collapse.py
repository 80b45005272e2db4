"""Data collapse P = f((x - x_c) L^(1/nu)) and its quality."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from grokmap.analysis.scaling.curves import Curves, size_exponent
from grokmap.analysis.scaling.ensemble import (
    NONE,
    Ensemble,
    Interval,
    counts,
    interval,
    not_a_point,
    without_ends,
)
from grokmap.analysis.statistics import FEWEST_OF_CURVES
from grokmap.arrays import Bools, Floats

# Above this S the points miss the common curve by more than their errors.
WORST_QUALITY = 2.0
# Points on a plateau within this many errors of the master curve agree by necessity.
FLAT = 0.1


class Points(NamedTuple):
    """Curves to collapse, [S, K] each: usable points first, then padding at +inf.

    x: place; y: arcsin sqrt P; error: its standard error, inf in the padding;
    plateau: whether all runs agree; sizes: [S].
    """

    sizes: Floats
    x: Floats
    y: Floats
    error: Floats
    plateau: Bools


class Collapse(NamedTuple):
    """The optimum; x_c in `place`. A note says why there is none."""

    x_c: Interval
    inverse_nu: Interval
    quality: Interval


def points_of(ensemble: Ensemble, successes: Floats, trials: Floats) -> Points:
    """Points of one resample: successes k and trials n, [S, K].

    y = arcsin sqrt((k + 3/8) / (n + 3/4)) has the error 1 / (2 sqrt(n + 1/2)) whatever
    P is (Anscombe, Biometrika 35, 246 (1948)). P collapses where a function of it does;
    with errors taken from k/n instead, the points that happen to be near 0 or 1 pull
    the master curve towards them, and 1/nu comes out too small.
    """
    usable = trials > 0
    front = np.argsort(~usable, axis=1, kind="stable")

    def packed(values: Floats, padding: float) -> Floats:
        return np.take_along_axis(np.where(usable, values, padding), front, axis=1)

    y = np.arcsin(np.sqrt((successes + 3 / 8) / (trials + 3 / 4)))
    error = 0.5 / np.sqrt(trials + 0.5)
    agree = (successes == 0) | (successes == trials)
    x = packed(np.broadcast_to(ensemble.place, usable.shape), np.inf)
    plateau = packed(agree.astype(float), 1.0) > 0
    return Points(ensemble.sizes, x, packed(y, 0.0), packed(error, np.inf), plateau)


def quality(points: Points, x_c: float, inverse_nu: float) -> float:
    """S of Houdayer and Hartmann, Phys. Rev. B 70, 014418 (2004), appendix.

    Every point (u, y) of a curve, u = (x - x_c) L^(1/nu), is compared with the master
    curve Y(u) of the *other* curves: a straight line, by weighted least squares,
    through the two neighbours of u on each. S is the mean of
    (y - Y)^2 / (dy^2 + dY^2): about 1 for a collapse within errors, much larger for
    none. Melchert, arXiv 0910.5403, describes the same.

    Two things differ here. A point on a plateau of the master curve, 0 or 1, agrees by
    necessity and is left out: otherwise S would fall as the plateaus are stretched.
    And S is inf where fewer than half of the points between 0 and 1 have neighbours:
    otherwise curves that no longer overlap would fit best.
    """
    u = (points.x - x_c) * (points.sizes[:, None] / points.sizes[0]) ** inverse_nu
    master, variance = _master_curve(u, points.y, points.error)
    with np.errstate(invalid="ignore"):
        near = np.abs(points.y - master) < FLAT * points.error
        used = np.isfinite(master) & np.isfinite(points.error)
        used &= ~(points.plateau & near)
        misfit = (points.y - master) ** 2 / (points.error**2 + variance)
    if used.sum() < max(3, (~points.plateau).sum() / 2):
        return float("inf")
    return float(np.mean(misfit[used]))


def _master_curve(u: Floats, y: Floats, error: Floats) -> tuple[Floats, Floats]:
    """(Y, dY^2), [S, K] each, at every u [S, K]; NaN without neighbours."""
    n_sizes, n_points = u.shape
    at, row = u.ravel(), np.arange(n_sizes)[:, None]
    below = np.array([np.searchsorted(curve, at, side="right") for curve in u]) - 1
    left = np.clip(below, 0, n_points - 2) + row * n_points
    right = at[left + 1]
    others = row != np.repeat(np.arange(n_sizes), n_points)
    # Beyond the last point of a size there is padding, or nothing, on the right.
    inside = others & (below >= 0) & np.isfinite(right) & (at <= right)
    finite = np.where(np.isfinite(at), at, 0.0)
    powers = np.stack([np.ones_like(at), finite, finite**2])
    moments = np.concatenate([powers, powers[:2] * y.ravel()]) / error.ravel() ** 2
    pairs = (moments[:, left] + moments[:, left + 1]) * inside
    s, sx, sxx, sy, sxy = pairs.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = s * sxx - sx**2
        master = (sxx * sy - sx * sxy + at * (s * sxy - sx * sy)) / determinant
        variance = (sxx - 2 * at * sx + at**2 * s) / determinant
    return master.reshape(u.shape), variance.reshape(u.shape)


def fit_collapse(ensemble: Ensemble, weights: Floats, curves: Curves) -> Collapse:
    """Minimises S over (x_c, 1/nu) for the data and every resample (weights [B, R]).

    1/nu is None, with a note, where nothing collapses; x_c also where the interval of
    1/nu holds 0, since curves that do not sharpen with size have no x_c.
    """
    starts = _starts(ensemble, curves)
    if not starts:
        return _none("P(grok) passes 1/2 at fewer than two sizes")
    successes, trials = counts(ensemble.grok, weights)
    optima = np.full((len(weights), 3), np.nan)
    optima[0] = best_collapse(points_of(ensemble, successes[0], trials[0]), starts)
    if not np.isfinite(optima[0]).all():
        return _none("the scaled curves never overlap")
    for b in range(1, len(weights)):
        points = points_of(ensemble, successes[b], trials[b])
        optima[b] = best_collapse(points, [(optima[0, 0], optima[0, 1])])
    best = judge(ensemble, *optima.T)
    if ensemble.n_seeds >= FEWEST_OF_CURVES or not np.isfinite(best.inverse_nu.value):
        return best
    exponent = without_ends(best.inverse_nu)
    if not np.isfinite(best.x_c.value):
        return best._replace(inverse_nu=exponent)
    return best._replace(x_c=without_ends(best.x_c), inverse_nu=exponent)


def _starts(ensemble: Ensemble, curves: Curves) -> list[tuple[float, float]]:
    half = curves.half[0][np.isfinite(curves.half[0])]
    if len(half) < 2:
        return []
    slope = size_exponent(ensemble.sizes, curves.slope[:1])[0]
    exponents = {0.0, 0.5, 1.0, float(slope) if np.isfinite(slope) else 0.25}
    return [(x, e) for x in {*half, half.mean()} for e in sorted(exponents)]


def best_collapse(
    points: Points, starts: list[tuple[float, float]]
) -> tuple[float, float, float]:
    """(x_c, 1/nu, S) at the smallest S found from the starts; NaN where S is inf."""
    known = points.x[np.isfinite(points.x)]
    low, high = known.min(), known.max()
    unit = np.array([0.05 * (high - low), 0.2])  # of x_c and of 1/nu

    def cost(p: Floats) -> float:
        x_c, inverse_nu = p * unit
        # The data say nothing of an x_c further from the axis than its length.
        inside = 2 * low - high <= x_c <= 2 * high - low
        return quality(points, x_c, inverse_nu) if inside else np.inf

    best = (np.nan, np.nan, np.inf)
    for start in starts:
        simplex = np.array([[0, 0], [1, 0], [0, 1]]) + start / unit
        options = {"initial_simplex": simplex, "xatol": 0.03, "fatol": 0.003}
        with np.errstate(invalid="ignore"):
            result = minimize(cost, simplex[0], method="Nelder-Mead", options=options)
        if result.fun < best[2]:
            x_c, inverse_nu = result.x * unit
            best = (float(x_c), float(inverse_nu), float(result.fun))
    return best if np.isfinite(best[2]) else (np.nan, np.nan, np.nan)


def judge(ensemble: Ensemble, x_c: Floats, inverse_nu: Floats, s: Floats) -> Collapse:
    """Intervals of [1 + B] optima, or the reason why they mean nothing."""
    # A resample has the noise of the runs twice, so its S gives no interval for S.
    quality_ = NONE._replace(value=float(s[0]))
    exponent = interval(inverse_nu, ensemble.n_seeds)
    if s[0] > WORST_QUALITY:
        return _none(f"no collapse found: S = {s[0]:.3g}")._replace(quality=quality_)
    if not exponent.low > 0:
        note = "the curves do not sharpen with size"
        none = NONE._replace(note=f"no collapse found: {note}")
        return Collapse(none, not_a_point(exponent._replace(note=note)), quality_)
    if not ensemble.place[0] <= x_c[0] <= ensemble.place[-1]:
        outside = _none("no collapse found: x_c would lie outside of the axis")
        return outside._replace(quality=quality_)
    return Collapse(interval(x_c, ensemble.n_seeds), exponent, quality_)


def _none(note: str) -> Collapse:
    none = NONE._replace(note=note)
    return Collapse(none, none, none)
