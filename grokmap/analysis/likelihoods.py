"""What one run says of a latent function: whether it grokked, or when, or not yet.

Each gives the moments that `gaussian_process.propagate` needs, in closed form
(Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 3.9).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr

from grokmap.analysis.gaussian_process import Moments
from grokmap.arrays import Bools, Floats, Ints

ROOT_2_PI = np.sqrt(2 * np.pi)


def yes(mean: Floats, variance: Floats, ceiling: float) -> Moments:
    """P(yes | f) = h Phi(f), Phi the normal distribution function, h the ceiling."""
    scale = np.sqrt(1 + variance)
    z = mean / scale
    log_z = log_ndtr(z)
    ratio = np.exp(-(z**2) / 2 - log_z) / ROOT_2_PI
    curvature = ratio * (z + ratio) / scale**2
    by_lapse = np.full((1, len(z)), -1 / ceiling)
    return Moments(log_z + np.log(ceiling), ratio / scale, curvature, by_lapse)


def no(mean: Floats, variance: Floats, ceiling: float) -> Moments:
    """P(no | f) = 1 - h Phi(f)."""
    scale = np.sqrt(1 + variance)
    z = mean / scale
    log_z = np.logaddexp(np.log1p(-ceiling), np.log(ceiling) + log_ndtr(-z))
    ratio = ceiling * np.exp(-(z**2) / 2 - log_z) / ROOT_2_PI
    curvature = ratio * (ratio - z) / scale**2
    by_lapse = (ndtr(z) / np.exp(log_z))[None]
    return Moments(log_z, -ratio / scale, curvature, by_lapse)


class Outcomes(NamedTuple):
    """Of runs that grokked or did not [n]; the one parameter is the lapse, 1 - h."""

    grokked: Bools

    def moments(self, mean: Floats, variance: Floats, noise: Floats) -> Moments:
        both = [each(mean, variance, 1 - float(noise[0])) for each in (yes, no)]
        grokked = self.grokked
        return Moments(*(np.where(grokked, y, n) for y, n in zip(*both, strict=True)))

    def part(self, some: Ints) -> Outcomes:
        return Outcomes(self.grokked[some])


class Times(NamedTuple):
    """Of values [n] with normal noise, of which those censored are larger than given.

    The one parameter is the standard deviation s of the noise: value ~ N(f, s^2), and
    of a censored one P(larger | f) = Phi((f - value) / s) (Tobin, Econometrica 26
    (1958) 24).
    """

    value: Floats
    censored: Bools

    def moments(self, mean: Floats, variance: Floats, noise: Floats) -> Moments:
        scale = np.sqrt(noise[0] ** 2 + variance)
        z = (mean - self.value) / scale
        seen = -(z**2) / 2 - np.log(scale * ROOT_2_PI)
        ratio = np.exp(-(z**2) / 2 - log_ndtr(z)) / ROOT_2_PI
        log_z = np.where(self.censored, log_ndtr(z), seen)
        slope = np.where(self.censored, ratio, -z) / scale
        curvature = np.where(self.censored, ratio * (z + ratio), 1.0) / scale**2
        by_scale = np.where(self.censored, -ratio * z, z**2 - 1) / scale
        by_noise = (by_scale * noise[0] / scale)[None]
        return Moments(log_z, slope, curvature, by_noise)

    def part(self, some: Ints) -> Times:
        return Times(self.value[some], self.censored[some])
