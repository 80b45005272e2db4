"""Intervals, medians of censored times, modes: what a few values can say."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from grokmap.arrays import Bools, Floats

LEVEL = 0.95
RESAMPLES = 1000
NULL_SAMPLES = 1000
# Of fewer runs no interval of a median can hold 95%: it lies beyond all of them with a
# chance of 2^(1 - n).
FEWEST = 6


def wilson(
    successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Wilson's score interval of a probability: (low, high), each in [0, 1].

    (p + z^2/2n ± z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), with p the share of
    successes and z the normal quantile of `level` (Wilson, J. Am. Stat. Assoc. 22
    (1927) 209). No trials: (0, 1).
    """
    k, n = np.asarray(successes, float), np.asarray(trials, float)
    z2 = norm.ppf((1 + level) / 2) ** 2
    share = k / np.maximum(n, 1)
    middle = (share * n + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (share * (1 - share) * n + z2 / 4)) / (n + z2)
    # At k = 0 and k = n one end is exactly 0 or 1; rounding must not say otherwise.
    low = np.where(k == 0, 0.0, np.maximum(middle - half, 0))
    return low, np.where(k == n, 1.0, np.minimum(middle + half, 1))


def median_survival(times: Floats, happened: Bools) -> Any:
    """Kaplan and Meier's median of right-censored times (J. Am. Stat. Assoc. 53 (1958)
    457): where the share that is left falls below 1/2; the middle of the times at which
    it is 1/2 exactly, if it is; inf if it never falls below.

    Args:
      times: [..., n] when it happened, or was last known not to have (inf: never will).
      happened: [..., n].

    Returns:
      [...] medians.
    """
    # At equal times what happened comes first: it was at risk there.
    order = np.lexsort((~happened, times), axis=-1)
    times = np.take_along_axis(times, order, -1)
    happened = np.take_along_axis(happened, order, -1)
    at_risk = np.arange(times.shape[-1], 0, -1)
    left = np.cumprod(np.where(happened, 1 - 1 / at_risk, 1.0), axis=-1)
    at_half = _first_time(times, left <= 0.5 + 1e-12)
    return (at_half + _first_time(times, left < 0.5 - 1e-12)) / 2


def _first_time(times: Floats, holds: Bools) -> Floats:
    """[...] the first of times [..., n] at which it holds; inf if at none."""
    first = np.argmax(holds, -1)[..., None]
    found = np.take_along_axis(times, first, -1)[..., 0]
    return np.where(holds.any(-1), found, np.inf)


def expanded_tail(n: int, level: float = LEVEL) -> float:
    """Share of resamples to leave out at either end of a percentile interval.

    Resamples of n are too narrow by what Student's t is wider than the normal, and by
    sqrt(1 - 1/n); Hesterberg (arXiv 1411.5279) takes percentiles further out in return:
    1.6 and 98.4 of n = 20 at 95%.
    """
    wide = t.ppf((1 - level) / 2, n - 1) * np.sqrt(n / (n - 1))
    return float(norm.cdf(wide))


def median_interval(
    times: Floats, happened: Bools, level: float = LEVEL
) -> tuple[float, float, float]:
    """(median, low, high) of `median_survival`; expanded percentiles of resampled runs.

    NaN for low, high of fewer than FEWEST runs.
    """
    middle = float(median_survival(times, happened))
    n = len(times)
    if n < FEWEST:
        return middle, np.nan, np.nan
    draws = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    medians = median_survival(times[draws], happened[draws])
    tail = expanded_tail(n, level)
    low, high = np.quantile(medians, [tail, 1 - tail], method="inverted_cdf")
    return middle, float(low), float(high)


def median_ratio_interval(
    times: Floats, happened: Bools, level: float = LEVEL
) -> tuple[float, float, float]:
    """(ratio, low, high) of two medians over the same seeds: the first by the second.

    Seeds are resampled, each with both of its runs, which share split and initial
    weights; expanded percentiles. Where both medians are out of reach the ratio is
    NaN, which counts as 0 for low and as infinite for high.

    Args:
      times, happened: [2, n], as of `median_survival`.

    Returns:
      NaN for low, high of fewer than FEWEST seeds.
    """

    def ratio(chosen: Any) -> Floats:
        medians = median_survival(times[:, chosen], happened[:, chosen])
        with np.errstate(invalid="ignore"):
            return np.asarray(medians[0] / medians[1])

    n = times.shape[-1]
    middle = float(ratio(np.arange(n)))
    if n < FEWEST:
        return middle, np.nan, np.nan
    drawn = ratio(np.random.default_rng(0).integers(n, size=(RESAMPLES, n)))
    tail = expanded_tail(n, level)

    def bound(unknown: float, share: float) -> float:
        known = np.where(np.isnan(drawn), unknown, drawn)
        return float(np.quantile(known, share, method="inverted_cdf"))

    return middle, bound(0.0, tail), bound(np.inf, 1 - tail)


def auc(ones: Floats, others: Floats) -> float:
    """How often one of `ones` exceeds one of `others`, ties half; NaN if empty."""
    if not len(ones) or not len(others):
        return float("nan")
    one, other = ones[:, None], others[None, :]
    return float(np.mean((one > other) + 0.5 * (one == other)))


def dip(values: Floats) -> float:
    """Hartigan's dip: distance of the empirical distribution from the nearest unimodal.

    The smallest, over distribution functions F with one mode (convex below it, concave
    above, an atom allowed at it), of the largest |F - F_n|. By the algorithm of
    Hartigan and Hartigan (Ann. Statist. 13, 70 (1985)): the greatest convex
    minorant and the least concave majorant close in on the mode.

    Args:
      values: [n] finite, at least one; in any order, ties allowed.

    Returns:
      In [1/(2n), 1/4]: smallest for evenly spaced values, 1/4 for two equal atoms.
    """
    atoms, each = np.unique(values, return_counts=True)
    x: Floats = atoms.astype(float)
    counts = each.astype(np.float64)
    after: Floats = np.cumsum(counts)
    before: Floats = after - counts
    low, high, size = 0, len(x) - 1, 1.0
    while low < high:
        own = slice(low, high + 1)
        lower, touched = _minorant(x[own], before[own])
        negative, touching = _minorant(x[own], -after[own])
        upper = -negative
        at = [
            places[np.argmax((upper - lower)[places])] for places in (touched, touching)
        ]
        widest = (upper - lower)[at]
        if widest.max() <= size:
            break
        if widest[0] >= widest[1]:
            left, right = at[0], touching[touching >= at[0]][0]
        else:
            left, right = touched[touched <= at[1]][-1], at[1]
        missed = [
            *(after[own] - lower)[:left],
            *(upper - before[own])[right + 1 :],
        ]
        size = max([size, *missed])
        if (left, right) == (0, high - low):
            break
        low, high = low + int(left), low + int(right)
    return size / (2 * len(values))


def _minorant(x: Floats, y: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Greatest convex minorant of points with ascending x: its values at x, and the
    indices of the points that it touches."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1 and (y[i] - y[hull[-1]]) * (x[hull[-1]] - x[hull[-2]]) <= (
            y[hull[-1]] - y[hull[-2]]
        ) * (x[i] - x[hull[-1]]):
            hull.pop()
        hull.append(i)
    touched = np.array(hull, np.intp)
    return np.interp(x, x[touched], y[touched]), touched


@lru_cache
def _null(n: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    return np.array([dip(rng.random(n)) for _ in range(NULL_SAMPLES)])


def dip_p_value(values: Floats, seed: int = 0) -> float:
    """Probability of so large a dip in as many values from one mode; NaN below 4.

    Against uniform values, which have asymptotically the largest dips of all
    distributions with one mode (the same paper): so it errs on the side of one mode.
    (1 + samples at or above) / (1 + NULL_SAMPLES).
    """
    if len(values) < 4:
        return float("nan")
    reached = int(np.sum(_null(len(values), seed) >= dip(values) - 1e-12))
    return (1 + reached) / (1 + NULL_SAMPLES)


def mode_gap(values: Floats) -> Floats:
    """Distance between the means of the two groups that split the values best.

    Best: largest variance between groups (Otsu, IEEE Trans. SMC 9, 62 (1979)). 1.6
    standard deviations for a normal distribution, 2 for two equal atoms.

    Args:
      values: [..., n] finite.

    Returns:
      [...]: 0 if all are equal, NaN for less than two values.
    """
    n = values.shape[-1]
    if n < 2:
        return np.full(values.shape[:-1], np.nan)
    sums = np.cumsum(np.sort(values, axis=-1), axis=-1)
    size = np.arange(1, n)
    low = sums[..., :-1] / size
    high = (sums[..., -1:] - sums[..., :-1]) / (n - size)
    best = np.argmax(size * (n - size) * (high - low) ** 2, axis=-1)[..., None]
    return np.take_along_axis(high - low, best, axis=-1)[..., 0]


def binder_cumulant(values: Floats) -> Floats:
    """U = 1 - <m^4> / (3 <m^2>^2) over the last axis (Binder, Z. Phys. B 43, 119
    (1981)).

    2/3 where all |m| are equal, 0 for normal values around 0, 1 - 1/(3q) where a share
    q is at m and the rest at 0: deep below 0 where two phases coexist. In [1 - n/3,
    2/3] for values [..., n]; NaN where all are 0.
    """
    second, fourth = (np.mean(values**k, axis=-1) for k in (2, 4))
    return 1 - fourth / (3 * np.where(second > 0, second, np.nan) ** 2)
