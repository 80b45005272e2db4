"""Do chains sample one distribution, and how many independent draws are they worth?

A chain is a series of one quantity at equal distances in steps, its beginning left out.
Chains are the rows of [m, n] arrays. With rho_t the correlation of two values t apart,
a mean over n of them has the variance of n / tau independent ones,

    tau = 1 + 2 sum_{t >= 1} rho_t

(Sokal, in Functional Integration (1997) 131). All in units of the distance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from grokmap.arrays import Floats

FEWEST = 8  # values of a chain below which nothing is said
CONVERGED = 1.01  # split R-hat below which Vehtari et al. use a sample


class Chains(NamedTuple):
    """What the chains of one quantity say together.

    mean, and error: its standard error, from the effective sample size; time: tau, in
    distances between two values; effective: independent draws that all chains are
    worth; r_hat: rank-normalised split R-hat, near 1 where they agree.
    """

    mean: float
    error: float
    time: float
    effective: float
    r_hat: float


def summary(chains: Floats) -> Chains:
    """The chains [m, n] in numbers; NaN for all but the mean where n < `FEWEST`."""
    effective = effective_size(chains)
    spread = float(np.std(chains, ddof=1)) if chains.size > 1 else np.nan
    return Chains(
        mean=float(np.mean(chains)),
        error=spread / np.sqrt(effective),
        time=chains.size / effective,
        effective=effective,
        r_hat=split_r_hat(chains),
    )


def autocovariance(chains: Floats) -> Floats:
    """[m, n] biased autocovariance of each chain about its own mean, at lags 0 to n-1.

    Biased (divided by n), as Geyer's estimate takes it.
    """
    n = chains.shape[-1]
    centred = chains - chains.mean(axis=-1, keepdims=True)
    power = np.abs(np.fft.rfft(centred, 2 * n, axis=-1)) ** 2
    covariances: Floats = np.fft.irfft(power, 2 * n, axis=-1)[..., :n] / n
    return covariances


def effective_size(chains: Floats) -> float:
    """m n / tau of chains [m, n]: independent draws that their mean is worth.

    rho_t = 1 - (W - mean over chains of the autocovariance at t) / var+, with W the
    variance within chains and var+ that of all: chains that do not agree have long
    correlations. Summed in pairs rho_2k + rho_2k+1 until one is negative, no pair
    larger than the one before (Geyer, Stat. Sci. 7 (1992) 473; Vehtari et al., Bayesian
    Anal. 16 (2021) 667, Eq. 10 to 13). At most m n log10(m n), as there.
    """
    m, n = chains.shape
    if n < FEWEST:
        return np.nan
    within, total = _variances(chains)
    if total == 0:  # a constant is known at once
        return float(m * n)
    lagged = autocovariance(chains).mean(axis=0) * n / (n - 1)
    rho = 1 - (within - lagged) / total
    rho[0] = 1.0
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs < 0)
    positive = pairs[: negative[0]] if len(negative) else pairs
    tau = 2 * float(np.minimum.accumulate(positive).sum()) - 1
    return m * n / max(tau, 1 / np.log10(m * n))


def split_r_hat(chains: Floats) -> float:
    """Rank-normalised split R-hat of chains [m, n]: sqrt(var+ / W) of their halves.

    The larger of that of the values and that of their distances from the median, both
    as normal scores of ranks (Vehtari et al. 2021, Section 4). 1 where chains, and
    their halves, agree; NaN where n < `FEWEST`. 1 if all values are the same.
    """
    if chains.shape[-1] < FEWEST:
        return np.nan
    half = chains.shape[-1] // 2
    halves = np.concatenate([chains[:, :half], chains[:, -half:]])
    folded = np.abs(halves - np.median(halves))
    return max(_r_hat(_normal_scores(values)) for values in (halves, folded))


def _r_hat(chains: Floats) -> float:
    within, total = _variances(chains)
    if within == 0:
        return 1.0 if total == 0 else np.inf
    return float(np.sqrt(total / within))


def _variances(chains: Floats) -> tuple[float, float]:
    """W, the variance within chains, and var+ = (n - 1) W / n + that of their means."""
    n = chains.shape[-1]
    within = float(chains.var(axis=-1, ddof=1).mean())
    between = float(chains.mean(axis=-1).var(ddof=1)) if len(chains) > 1 else 0.0
    return within, within * (n - 1) / n + between


def _normal_scores(values: Floats) -> Floats:
    """Normal quantiles of (rank - 3/8) / (size + 1/4), ties at their mean rank."""
    ranks = rankdata(values).reshape(values.shape)
    scores: Floats = ndtri((ranks - 0.375) / (values.size + 0.25))
    return scores
