"""A symmetric mixture of Gaussians: how many of some values stand apart from 0?

    p(x) = (1 - share) N(x; 0, narrow^2) + (share / 2) [N(x; place, wide^2)
           + N(x; -place, wide^2)]

is what Rubin, Seroussi and Ringel (arXiv 2310.03789) call Gaussian-mixture feature
learning, x the overlap of a neuron with the teacher. Fitted by expectation and
maximisation (Dempster, Laird and Rubin, J. R. Stat. Soc. B 39 (1977) 1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from grokmap.arrays import Floats

STEPS, STILL = 300, 1e-7  # most steps; change of the share at which it is over
TINY = 1e-12
NARROWEST = 1e-3  # of the largest |x|: no component becomes a point


class Mixture(NamedTuple):
    """share: of what stands at +-place, in [0, 1]; narrow, wide: standard deviations
    at 0 and there; gain: what the fit adds to the mean log likelihood of one Gaussian
    at 0; apart: whether the density has a dip between 0 and place."""

    share: float
    place: float
    narrow: float
    wide: float
    gain: float
    apart: bool


def symmetric_mixture(values: Floats, weights: Floats | None = None) -> Mixture:
    """The fit to values [n] of either sign, each counted `weights` times (default 1).

    Begins from the largest tenth as what stands apart. values have to differ.
    """
    size = np.abs(values)
    counts = np.ones(size.shape) if weights is None else weights
    counts = counts / counts.sum()
    least = NARROWEST * float(size.max())
    apart = (_share_below(size, counts) >= 0.9).astype(float)
    signed, share = apart, np.inf
    for _ in range(STEPS):
        fit = _maximised(size, counts, apart, signed, least)
        if abs(fit.share - share) < STILL:
            break
        share = fit.share
        apart, signed = _expected(size, fit)
    one = norm.logpdf(size, scale=np.sqrt(counts @ size**2))
    gain = float(counts @ (_log_density(size, fit) - one))
    return fit._replace(gain=gain, apart=_has_dip(fit))


def _share_below(size: Floats, counts: Floats) -> Floats:
    """[n] the weight of what is smaller than each |x|."""
    order = np.argsort(size)
    below = np.empty(len(size))
    below[order] = np.cumsum(counts[order]) - counts[order]
    return below


def _maximised(
    size: Floats, counts: Floats, apart: Floats, signed: Floats, least: float
) -> Mixture:
    """The components, given what `_expected` says of each |x|."""
    there, here = counts * apart, counts * (1 - apart)
    share, rest = float(there.sum()), float(here.sum())
    some, others = max(share, TINY), max(rest, TINY)
    place = float(counts @ (signed * size)) / some
    wide = np.sqrt(max(float(there @ size**2) / some - place**2, 0.0))
    narrow = np.sqrt(float(here @ size**2) / others)
    return Mixture(share, place, max(narrow, least), max(wide, least), 0.0, False)


def _expected(size: Floats, fit: Mixture) -> tuple[Floats, Floats]:
    """The probability that each |x| stands apart, and that on its own side less that
    on the other one."""
    here = norm.logpdf(size, scale=fit.narrow) + np.log(2)
    there = np.logaddexp(
        norm.logpdf(size, fit.place, fit.wide), norm.logpdf(size, -fit.place, fit.wide)
    )
    odds = np.log(max(fit.share, TINY)) - np.log(max(1 - fit.share, TINY))
    posterior: Floats = expit(odds + there - here)
    return posterior, posterior * np.tanh(size * fit.place / fit.wide**2)


def _log_density(size: Floats, fit: Mixture) -> Floats:
    """Of x itself, either sign."""
    parts = [
        (1 - fit.share) * norm.pdf(size, scale=fit.narrow),
        fit.share / 2 * norm.pdf(size, fit.place, fit.wide),
        fit.share / 2 * norm.pdf(size, -fit.place, fit.wide),
    ]
    density: Floats = np.log(np.sum(parts, axis=0) + 1e-300)
    return density


def _has_dip(fit: Mixture) -> bool:
    between = _log_density(np.linspace(0, fit.place, 200), fit)
    return bool(fit.share > 0 and between.min() < min(between[0], between[-1]) - 1e-6)
