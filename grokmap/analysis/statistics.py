"""Intervals, medians of censored times, modes: what a few values can say.

Every interval in grokmap is made here, or by the posterior of `boundaries.place`;
docs/statistics.md has how often each holds the truth, at 2 to 12 seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from diptest import dipstat, diptest
from scipy.special import gammaincinv, ndtr, ndtri, stdtrit

from grokmap.arrays import Bools, Floats

LEVEL = 0.95
RESAMPLES = 1000
# With fewer runs no interval of a median can cover 95%: the median lies beyond all of
# them with probability 2^(1 - n). Bootstrap percentiles are no better.
FEWEST = 6
# With fewer, a rare phase may occur in no seed, and so in no resample; and intervals
# from whole curves of several sizes cover 80% to 91% instead of 95%.
FEWEST_OF_CURVES = 12
# With fewer, intervals of the mean change of a share over cells hold 91%.
FEWEST_OF_SHARES = 8
LEAST_P = 1e-6  # resolution of the million samples of `diptest`
LEAST_VARIANCE = 1e-12  # over the mean square; smaller ones are rounding


def wilson(
    successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Wilson's score interval of a probability: (low, high), each in [0, 1].

    (p + z^2/2n ± z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), with p the share of
    successes and z the normal quantile of `level` (Wilson, J. Am. Stat. Assoc. 22
    (1927) 209). No trials: (0, 1). As of `scipy.stats.binomtest`, for arrays.
    """
    k, n = np.asarray(successes, float), np.asarray(trials, float)
    z2 = ndtri((1 + level) / 2) ** 2
    share = k / np.maximum(n, 1)
    middle = (share * n + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (share * (1 - share) * n + z2 / 4)) / (n + z2)
    # At k = 0 and k = n one end is exactly 0 or 1; rounding must not say otherwise.
    low = np.where(k == 0, 0.0, np.maximum(middle - half, 0))
    return low, np.where(k == n, 1.0, np.minimum(middle + half, 1))


def student_interval(
    values: Floats, level: float = LEVEL
) -> tuple[Floats, Floats, Floats]:
    """(mean, low, high), each [...], of values [..., n] that are nearly normal.

    mean ± t s / sqrt(n), t of n - 1 degrees of freedom; NaN ends of fewer than 2.
    """
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = stdtrit(n - 1, (1 + level) / 2) * values.std(axis=-1, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def poisson_interval(count: int, level: float = LEVEL) -> tuple[float, float]:
    """(low, high) of the mean of a Poisson count: exact, and so at least as wide as
    need be (Garwood, Biometrika 28, 437 (1936)). low is 0 for a count of 0."""
    tail = (1 - level) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))


def resample_weights(n: int, n_resamples: int = RESAMPLES) -> Floats:
    """[1 + n_resamples, n] how often each of n seeds counts; row 0: once, the data.

    Whole seeds are drawn with replacement: the runs of a seed share their examples, so
    they are not independent (Efron, Ann. Stat. 7, 1 (1979)). The generator's own seed
    is fixed: the same runs give the same intervals.
    """
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return np.vstack([np.ones(n), draws])


def resampled(values: Floats, n_resamples: int = RESAMPLES) -> Floats:
    """[B, n] the resamples of values [n] by `resample_weights`, the data left out."""
    repeats = resample_weights(len(values), n_resamples)[1:].astype(int)
    tiled = np.tile(values, n_resamples)
    return np.repeat(tiled, repeats.ravel()).reshape(n_resamples, len(values))


def totals(values: Floats, weights: Floats) -> Floats:
    """[B, ...] sums of values [..., n] under weights [B, n]; NaN adds 0."""
    return np.moveaxis(np.nan_to_num(values, nan=0.0) @ weights.T, -1, 0)


def expanded_tail(n: int, level: float = LEVEL) -> float:
    """Share of resamples to leave out at either end of a percentile interval.

    Percentile intervals of n values are too narrow by the ratio of Student's t to the
    normal quantile, and by sqrt(1 - 1/n); Hesterberg (arXiv 1411.5279) corrects this by
    percentiles further out: 1.6 and 98.4 for n = 20 at 95%.
    """
    wide = stdtrit(n - 1, (1 - level) / 2) * np.sqrt(n / (n - 1))
    return float(ndtr(wide))


def percentile_interval(
    drawn: Floats, n: int, level: float = LEVEL
) -> tuple[float, float]:
    """(low, high) from a statistic of resamples [B] of n seeds; NaN below FEWEST seeds.

    Not by `scipy.stats.bootstrap`: for 8 seeds its percentile and BCa intervals of a
    median time cover 91% (docs/statistics.md), and it interpolates between resamples,
    which turns infinite medians into NaN. It is as fast on one array, but cannot share
    resamples between the many numbers of one sweep.
    """
    if n < FEWEST:
        return np.nan, np.nan
    tail = expanded_tail(n, level)
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def median_survival(
    times: Floats, happened: Bools, weights: Floats | None = None, share: float = 0.5
) -> Any:
    """Kaplan and Meier's median of right-censored times (J. Am. Stat. Assoc. 53 (1958)
    457): where the share that is left falls below 1/2; the middle of the times at which
    it is 1/2 exactly, if it is; inf if it never falls below. Another `share` is left
    for another quantile: 3/4 for the lower quartile.

    As by `scipy.stats.ecdf`, which takes one sample a call and needs half a second for
    a thousand resamples of one cell.

    Args:
      times: [..., n] when it happened, or was last known not to have (inf: never will).
      happened: [..., n]. weights: [B, n] how often each counts.

    Returns:
      [...] medians; [B, ...] with weights.
    """
    # At equal times events come before censored runs, which were still at risk.
    order = np.lexsort((~happened, times), axis=-1)
    times = np.take_along_axis(times, order, -1)
    happened = np.take_along_axis(happened, order, -1)
    each = np.ones((1, times.shape[-1])) if weights is None else weights
    count = each[:, order]
    at_risk = np.cumsum(count[..., ::-1], axis=-1)[..., ::-1]
    hazard = np.where(happened, count / np.maximum(at_risk, 1), 0.0)
    survival = np.cumprod(1 - hazard, axis=-1)
    at_share = _first_time(times, survival <= share + 1e-12)
    medians = (at_share + _first_time(times, survival < share - 1e-12)) / 2
    return medians[0] if weights is None else medians


def _first_time(times: Floats, holds: Bools) -> Floats:
    """[B, ...] the first of times [..., n] at which it holds [B, ..., n], or inf."""
    first = np.argmax(holds, -1)[..., None]
    every = np.broadcast_to(times, holds.shape)
    return np.where(holds.any(-1), np.take_along_axis(every, first, -1)[..., 0], np.inf)


def median_interval(
    times: Floats, happened: Bools, level: float = LEVEL
) -> tuple[float, float, float]:
    """(median, low, high) of `median_survival`; expanded percentiles of resampled runs.

    NaN for low, high of fewer than FEWEST runs.
    """
    n = len(times)
    if n < FEWEST:
        return float(median_survival(times, happened)), np.nan, np.nan
    medians = median_survival(times, happened, resample_weights(n))
    return float(medians[0]), *percentile_interval(medians[1:], n, level)


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
    n = times.shape[-1]
    medians = median_survival(times, happened, resample_weights(n))
    with np.errstate(invalid="ignore"):
        ratios = medians[:, 0] / medians[:, 1]
    drawn, unknown = ratios[1:], np.isnan(ratios[1:])
    low, _ = percentile_interval(np.where(unknown, 0.0, drawn), n, level)
    _, high = percentile_interval(np.where(unknown, np.inf, drawn), n, level)
    return float(ratios[0]), low, high


def over_cells(
    values: Floats,
    n: int,
    average: Callable[..., Any] = np.median,
    fewest: int = FEWEST,
) -> tuple[float, float, float]:
    """(value, low, high) of a median or mean over the cells of a plane.

    The cells are those that there are; seeds are resampled, each with its runs in all
    of them. Of values with the other sign the interval is the mirrored one. inf and
    -inf are values beyond all others; NaN, and a median between these two, count as
    -inf for low and as inf for high.

    Args:
      values: [1 + B, cells] of the data and of each resample of n seeds; no NaN in the
        first row. average: over the last axis.

    Returns:
      NaN for all where there is no cell, for low, high of fewer than `fewest` seeds.
    """
    if values.shape[-1] == 0:
        return np.nan, np.nan, np.nan
    if n < fewest:
        return float(average(values[0])), np.nan, np.nan
    with np.errstate(invalid="ignore"):
        value = float(average(values[0]))
        ends = [
            average(np.where(np.isnan(values), -np.inf, sign * values)[1:], axis=-1)
            for sign in (1, -1)
        ]
    low, high = (
        percentile_interval(np.where(np.isnan(end), -np.inf, end), n)[0] for end in ends
    )
    # Not the other end of the first: quantiles of finitely many are not symmetric.
    return value, low, -high


def auc(ones: Floats, others: Floats) -> float:
    """How often one of `ones` exceeds one of `others`, ties half; NaN if empty.

    Mann and Whitney's U over its largest value (Ann. Math. Stat. 18, 50 (1947)).
    """
    if not len(ones) or not len(others):
        return float("nan")
    from scipy.stats import mannwhitneyu  # takes a second to load

    u = mannwhitneyu(ones, others, method="asymptotic").statistic
    return float(u) / (len(ones) * len(others))


def dip(values: Floats) -> float:
    """Hartigan's dip: distance of the empirical distribution from the nearest unimodal.

    The smallest, over distribution functions F with one mode (convex below it, concave
    above, an atom allowed at it), of the largest |F - F_n| (Hartigan and Hartigan, Ann.
    Statist. 13, 70 (1985)), by the package `diptest`.

    Args:
      values: [n] finite, at least one; in any order, ties allowed.

    Returns:
      In [1/(2n), 1/4]: smallest for evenly spaced values, 1/4 for two equal atoms.
    """
    return float(dipstat(values, allow_zero=False))


def dip_p_value(values: Floats) -> float:
    """Probability of so large a dip in as many values from one mode; NaN below 4.

    Against uniform values, which have asymptotically the largest dips of all
    distributions with one mode (the same paper): so it errs on the side of one mode.
    Interpolated between quantiles of a million samples that `diptest` has; at least
    LEAST_P, beyond which they say nothing.
    """
    if len(values) < 4:
        return float("nan")
    return max(float(diptest(values, allow_zero=False)[1]), LEAST_P)


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


def binder_cumulant(
    values: Floats, weights: Floats | None = None, centred: bool = False
) -> Any:
    """U = 1 - <m^4> / (3 <m^2>^2) over the last axis (Binder, Z. Phys. B 43, 119
    (1981)).

    2/3 where all |m| are equal, 0 for normal values around 0, 1 - 1/(3q) where a share
    q is at m and the rest at 0: deep below 0 where two phases coexist. In [1 - n/3,
    2/3] for n values; NaN where all are 0.

    Args:
      values: [..., n] of m; NaN: left out. weights: [B, n] how often each counts.
      centred: of m - <m>; then NaN where all values agree.

    Returns:
      [...]; [B, ...] with weights.
    """
    each = np.ones((1, values.shape[-1])) if weights is None else weights
    with np.errstate(divide="ignore", invalid="ignore"):
        n = totals(np.isfinite(values).astype(float), each)
        m1, m2, m3, m4 = (totals(values**k, each) / n for k in range(1, 5))
        if centred:
            spread = m2 - m1**2
            m4 = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
            m2 = np.where(spread > LEAST_VARIANCE * m2, spread, np.nan)
        u = np.where(m2 > 0, 1 - m4 / (3 * m2**2), np.nan)
    return u[0] if weights is None else u
