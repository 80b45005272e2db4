"""Whether a few values have one mode or two, and how far apart the two are."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NULL_SAMPLES = 1000


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
