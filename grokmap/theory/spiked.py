"""Spiked rectangular matrices: where the noise ends, and where a spike stands.

W = sum_k beta_k u_k v_k' + X, X [rows, columns] of independent entries of variance
sigma^2, u_k, v_k unit vectors. With m <= n the two sides, the singular values of X fill

    sigma (sqrt(n) - sqrt(m))  to  sigma (sqrt(n) + sqrt(m))

(Marchenko and Pastur, 1967). A spike is seen once beta > sigma (m n)^(1/4), at

    s(beta) = sqrt((beta^2 + sigma^2 m)(beta^2 + sigma^2 n)) / beta

(Benaych-Georges and Nadakuditi, arXiv 1103.2221; the transition of Baik, Ben Arous and
Peche, 2005). For square matrices of entries sigma^2 / n this is beta > sigma and
s = beta + sigma^2 / beta.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from grokmap.arrays import Floats

Shape = tuple[int, ...]  # rows, columns
# Fluctuations of the largest noise singular value, in Tracy-Widom units: beyond 4 of
# them lies 2 in 10^4 of pure noise.
EDGE_MARGIN = 4.0


@lru_cache(maxsize=64)
def marchenko_pastur_median(aspect: float) -> float:
    """Median of the Marchenko-Pastur law of unit variance, aspect m/n in (0, 1]."""
    low, high = (1 - np.sqrt(aspect)) ** 2, (1 + np.sqrt(aspect)) ** 2
    # x = middle - half * cos(angle) takes the square-root edges out of the integral.
    angle = (np.arange(20_000) + 0.5) * np.pi / 20_000
    x = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    share = np.cumsum(np.sin(angle) ** 2 / x)
    return float(np.interp(0.5, share / share[-1], x))


def largest_power(shape: Shape, widths: float = EDGE_MARGIN) -> float:
    """Centre of the largest squared singular value of unit noise, and so many
    Tracy-Widom widths (Johnstone, 2001): (sqrt(n - 1) + sqrt(m))^2 and so on."""
    m, n = sorted(shape)
    sides = np.sqrt(n - 1) + np.sqrt(m)
    width = sides * (1 / np.sqrt(max(n - 1, 1)) + 1 / np.sqrt(m)) ** (1 / 3)
    return float(sides**2 + widths * width)


def noise_level(values: npt.ArrayLike, shape: Shape) -> float:
    """sigma of the noise whose median singular value is that of `values`, as Gavish and
    Donoho (arXiv 1305.5870) estimate it; spikes in fewer than half do not matter."""
    m, n = sorted(shape)
    median = np.median(np.square(values))
    return float(np.sqrt(median / marchenko_pastur_median(m / n) / n))


def bulk(shape: Shape, sigma: float) -> tuple[float, float]:
    """Lower and upper edge of the noise's singular values, in the limit m, n -> inf."""
    m, n = sorted(shape)
    return sigma * (np.sqrt(n) - np.sqrt(m)), sigma * (np.sqrt(n) + np.sqrt(m))


def threshold(shape: Shape, sigma: float) -> float:
    """The beta above which a spike leaves the bulk: sigma (m n)^(1/4)."""
    m, n = shape
    return float(sigma * (m * n) ** 0.25)


def position(beta: npt.ArrayLike, shape: Shape, sigma: float) -> Floats:
    """Where spikes of strength beta stand; below the threshold at the bulk's edge."""
    m, n = sorted(shape)
    seen = np.maximum(np.asarray(beta, np.float64), threshold(shape, sigma))
    return np.sqrt((seen**2 + sigma**2 * m) * (seen**2 + sigma**2 * n)) / seen


def strength(value: npt.ArrayLike, shape: Shape, sigma: float) -> Floats:
    """beta of spikes that stand at `value`, the inverse of `position`; NaN in the bulk.

    beta^2 is the larger root of x^2 - (s^2 - sigma^2 (m + n)) x + sigma^4 m n = 0.
    """
    m, n = sorted(shape)
    half = (np.square(np.asarray(value, np.float64)) - sigma**2 * (m + n)) / 2
    with np.errstate(invalid="ignore"):
        return np.sqrt(half + np.sqrt(half**2 - sigma**4 * m * n))


def overlaps(beta: npt.ArrayLike, shape: Shape, sigma: float) -> tuple[Floats, Floats]:
    """Squared overlaps of the spike's singular vectors [rows], [columns] with those of
    the matrix; 0 below the threshold.

    Of the side of length a, b the other: (beta^4 - sigma^4 a b) /
    (beta^2 (beta^2 + sigma^2 a)) in this order (arXiv 1103.2221, Theorem 2.10).
    """
    rows, columns = shape
    seen = np.maximum(np.asarray(beta, np.float64), threshold(shape, sigma))
    above = seen**4 - sigma**4 * rows * columns
    left = above / (seen**2 * (seen**2 + sigma**2 * rows))
    return left, above / (seen**2 * (seen**2 + sigma**2 * columns))


def split(now: Floats, start: Floats) -> tuple[float, Floats]:
    """(share, rest): W_t = share W_0 + rest, rest orthogonal to W_0: what is left of
    the initial matrix, by least squares, and what training has added."""
    share = float(np.vdot(start, now) / np.vdot(start, start))
    return share, now - share * start


def predicted_top(now: Floats, start: Floats) -> tuple[float, float]:
    """Largest singular value of W_t as the spiked model has it, and its threshold.

    The noise is what is left of W_0 and the bulk of what was added; the spike is the
    strongest that stands out of the latter. Without one: the edge of the noise.
    """
    share, rest = split(now, start)
    own = np.linalg.svd(rest, compute_uv=False)
    added = noise_level(own, rest.shape)
    beta = np.nan_to_num(strength(own[0], rest.shape, added))
    sigma = float(np.hypot(share * np.std(start), added))
    return float(position(beta, now.shape, sigma)), threshold(now.shape, sigma)


def density(values: npt.ArrayLike, shape: Shape, sigma: float) -> Floats:
    """Of the noise's singular values, integrating to 1; 0 outside of the bulk.

    sqrt((s_+^2 - s^2)(s^2 - s_-^2)) / (pi sigma^2 m s).
    """
    s = np.asarray(values, np.float64)
    low, high = bulk(shape, sigma)
    inside = np.maximum((high**2 - s**2) * (s**2 - low**2), 0)
    return np.sqrt(inside) / (np.pi * sigma**2 * min(shape) * np.maximum(s, 1e-300))
