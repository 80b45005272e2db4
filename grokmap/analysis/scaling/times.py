"""How the grokking time depends on size: t_N = t_inf (1 + c/N)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from grokmap.analysis.scaling.ensemble import Ensemble, Interval
from grokmap.analysis.statistics import student_interval, totals
from grokmap.arrays import Floats

# Range of ln(1 + c / smallest size): at its ends 1 + c/N is 0 or c/N.
LOWEST, HIGHEST = -5.0, 8.0
OVERLAP = 50  # places at which two sizes are compared


class _Comparison:
    """Mean log times, [B, S], with the mean of each x taken out.

    For size factors g [S]: sum of squares = const - 2 rhs g + g matrix g, with a free
    t_inf at each x, so that only sizes at the same x are compared.
    """

    def __init__(self, time: Floats, weights: Floats) -> None:
        log = np.log(time)
        n = totals(np.isfinite(log).astype(float), weights)  # [B, S, K]
        total = totals(log, weights)
        at_x = n.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(at_x > 0, n / at_x, 0.0)
        self.rhs = (total - share * total.sum(axis=1, keepdims=True)).sum(axis=2)
        self.matrix = -np.einsum("bsk,btk->bst", n, share)
        diagonal = np.arange(n.shape[1])
        self.matrix[:, diagonal, diagonal] += n.sum(axis=2)


def unselected_times(ensemble: Ensemble) -> Floats:
    """[S, K, R] t_grok of the cells in which every run grokked, NaN elsewhere.

    Where only some grok, those that do are the fast ones, more so at one size than at
    another; such cells, and those with an undecided run, are left out.
    """
    known = np.isfinite(ensemble.grok)
    all_grok = known.any(axis=2) & (np.where(known, ensemble.grok, 1) == 1).all(axis=2)
    return np.where(all_grok[..., None], ensemble.time, np.nan)


def comparable_times(ensemble: Ensemble) -> Floats:
    """[S, K, R] `unselected_times` at the x where two or more sizes have them."""
    time = unselected_times(ensemble)
    shared = np.isfinite(time).any(axis=2).sum(axis=0) >= 2
    return np.where(shared[:, None], time, np.nan)


def size_factors(time: Floats, weights: Floats) -> Floats:
    """[B, S] t_N over t at the largest size, by least squares of ln t with a free
    factor at each x; no form in N is assumed. NaN for a size without times."""
    compared = _Comparison(time, weights)
    known = np.isfinite(time).any(axis=(1, 2))
    factors = np.full(compared.rhs.shape, np.nan)
    if known.sum() < 2:
        return factors
    free = np.flatnonzero(known)[:-1]
    matrix = compared.matrix[:, free[:, None], free]
    solved = np.linalg.pinv(matrix) @ compared.rhs[:, free, None]
    factors[:, free] = np.exp(solved[..., 0])
    factors[:, np.flatnonzero(known)[-1]] = 1.0
    return factors


def factor_intervals(time: Floats) -> list[Interval]:
    """[S] `size_factors` of all seeds, with Student's t of those of each seed.

    Logarithms of factors are linear in those of times, so that the seeds' mean is the
    factor of all; they have it at the same cells, or there is no interval.
    """
    whole = size_factors(time, np.ones((1, time.shape[2])))[0]
    by_seed = np.log(size_factors(time, np.eye(time.shape[2])))
    _, *ends = student_interval(by_seed.T)
    return [
        Interval(float(value), float(low), float(high))
        for value, low, high in zip(whole, *np.exp(ends), strict=True)
    ]


def rescaled_factors(x: Floats, half: Floats, time: Floats, weights: Floats) -> Floats:
    """[B, S] t_N over t at the largest size, at equal x / x_half(N).

    Args:
      x: [K], above 0; half: [B, S] in x; time: [S, K, R] of `unselected_times`.

    Mean of the ratio's logarithm over the x / x_half that both sizes have, ln t linear
    in ln x between them. 1 where the only effect of size on t is that the transition
    moves: t_grok = g(x / x_half(N)). NaN where fewer than two x overlap.
    """
    log = np.log(time)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = totals(log, weights) / totals(np.isfinite(log).astype(float), weights)
        place = np.log(x / half[..., None])
    usable = np.isfinite(mean) & np.isfinite(place)
    enough = usable[0].sum(axis=1) >= 2
    factors = np.full(half.shape, np.nan)
    for s in np.flatnonzero(enough):
        largest = np.flatnonzero(enough)[-1]
        for b, ok in enumerate(usable):
            one, two = ((place[b, i, ok[i]], mean[b, i, ok[i]]) for i in (s, largest))
            factors[b, s] = _mean_ratio(*one, *two)
    return factors


def _mean_ratio(x1: Floats, y1: Floats, x2: Floats, y2: Floats) -> float:
    """exp of the mean of y1 - y2 over the x that both curves have."""
    if min(len(x1), len(x2)) < 2:
        return float("nan")
    low, high = max(x1[0], x2[0]), min(x1[-1], x2[-1])
    if low >= high:
        return float("nan")
    shared = np.linspace(low, high, OVERLAP)
    return float(np.exp(np.mean(np.interp(shared, x1, y1) - np.interp(shared, x2, y2))))


def fit_width_correction(sizes: Floats, time: Floats, weights: Floats) -> Floats:
    """[B] c of t_N = t_inf (1 + c/N), in units of the size.

    Args:
      sizes: [S]; time: [S, K, R] times of the runs that grokked, NaN elsewhere.

    Least squares of ln t = ln t_inf(x) + ln(1 + c/N), t_inf free at each x, either sign
    of c above minus the smallest size. NaN where no two sizes share an x, or the best
    c is at an end of its range (t falls as 1/N, or vanishes at the smallest size).
    The form is a survey's guess, which gives no source for it (the cited arXiv
    2508.11522 has nothing on times): it is measured here, not assumed; compare it with
    `size_factors`.
    """
    compared = _Comparison(time, weights)
    smallest = sizes[np.isfinite(time).any(axis=(1, 2))].min(initial=sizes[-1])
    best = np.full(len(weights), np.nan)
    for b, (rhs, matrix) in enumerate(zip(compared.rhs, compared.matrix, strict=True)):
        if np.trace(matrix) > 1e-9:
            best[b] = _best_correction(sizes, smallest, rhs, matrix)
    return best


def _best_correction(
    sizes: Floats, smallest: float, rhs: Floats, matrix: Floats
) -> float:
    def correction(s: float) -> float:
        return float(smallest * np.expm1(s))

    def cost(s: float) -> float:
        g = np.log1p(correction(s) / np.maximum(sizes, smallest))
        return float(g @ matrix @ g - 2 * rhs @ g)

    result = minimize_scalar(cost, bounds=(LOWEST, HIGHEST), method="bounded")
    at_an_end = min(result.x - LOWEST, HIGHEST - result.x) < 1e-2
    return float("nan") if at_an_end else correction(result.x)
