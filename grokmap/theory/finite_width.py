"""The tangent kernel of a network of finite width, at initialisation.

Two layers, f = N^(alpha-1) sum_j a_j sigma(w_j.x), weights N(0, 1), C outputs. The
kernel traced over outputs, in units of the step N^(1-2 alpha) with which it acts, is a
mean over N independent neurons of

    k(x, y) = C sigma(h) sigma(h') + |a|^2 sigma'(h) sigma'(h') x.y,

h = w.x and h' = w.y normal with covariance G, the inputs' inner products (shared tokens
of pairs; over d for reals). So E K_N is the kernel of infinite width at every N, and
Cov K_N = Cov(k) / N exactly. With two hidden layers the mean has a term of order 1/N,
too. Roberts, Yaida and Hanin (arXiv 2106.10165) and Guillen, Misof and Gerken (arXiv
2508.11522) treat deep networks; the formulas below are derived here, from E |a|^2 = C,
E |a|^4 = C (C + 2) and Gaussian integrals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import erf

from grokmap.arrays import Floats
from grokmap.theory.gaussian import joint_mean, pair_mean


class Sigma(NamedTuple):
    """An activation and its slope, elementwise."""

    value: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]


SIGMAS: dict[str, Sigma] = {
    "linear": Sigma(lambda h: h, np.ones_like),
    "quadratic": Sigma(np.square, lambda h: 2 * h),
    "relu": Sigma(lambda h: np.maximum(h, 0), lambda h: np.heaviside(h, 0.5)),
    "erf": Sigma(erf, lambda h: 2 / np.sqrt(np.pi) * np.exp(-h * h)),
    "tanh": Sigma(np.tanh, lambda h: 1 / np.cosh(h) ** 2),
}


class Entry(NamedTuple):
    """One entry K(x, y): its mean at any N; N times its variance; N times the variance
    of the entry between two different outputs, whose mean is 0."""

    mean: float
    variance: float
    between_outputs: float


def kernel_entry(sigma: Sigma, gram: Floats, n_outputs: int) -> Entry:
    """Mean and variance of one entry of the kernel of two layers.

    gram: [2, 2] inner products of x and y.

    E k = C (E sigma sigma' + G E slope slope'), E k^2 = C^2 E sigma^2 sigma'^2
    + 2 C^2 G E sigma sigma' slope slope' + C (C + 2) G^2 E slope^2 slope'^2.
    """

    def mean(value: int, slope: int) -> float:
        """E (sigma sigma')^value (slope slope')^slope."""

        def g(h: Floats, other: Floats) -> Floats:
            values = sigma.value(h) * sigma.value(other)
            return values**value * (sigma.slope(h) * sigma.slope(other)) ** slope

        return pair_mean(g, gram)

    c, g = n_outputs, float(gram[0, 1])
    average = c * (mean(1, 0) + g * mean(0, 1))
    slopes = g**2 * mean(0, 2)
    square = c**2 * (mean(2, 0) + 2 * g * mean(1, 1)) + c * (c + 2) * slopes
    return Entry(average, square - average**2, slopes)


def kernel_table(sigma: Sigma, gram: Floats, n_outputs: int) -> tuple[Floats, Floats]:
    """([m, m] mean, [m, m] N times the variance) of the kernel of m inputs.

    gram: [m, m] their inner products. Entries of equal inner products are equal.
    """
    known: dict[tuple[float, float, float], Entry] = {}
    entries = np.empty((2, *gram.shape))
    for i, j in np.ndindex(gram.shape):
        own = sorted((float(gram[i, i]), float(gram[j, j])))
        key = (own[0], own[1], float(gram[i, j]))
        if key not in known:
            pair = np.array([[own[0], gram[i, j]], [gram[i, j], own[1]]])
            known[key] = kernel_entry(sigma, pair, n_outputs)
        entries[:, i, j] = known[key][:2]
    return entries[0], entries[1]


def kernel_covariance(sigma: Sigma, gram: Floats, n_outputs: int) -> float:
    """N times the covariance of K(x_1, x_2) and K(x_3, x_4), of a smooth activation.

    gram: [4, 4] inner products. Not for the relu, whose kinks the rule would miss.
    """
    c, first, second = n_outputs, gram[0, 1], gram[2, 3]

    def product(h: Floats) -> Floats:
        value, slope = sigma.value(h), sigma.slope(h)
        values = value[0] * value[1], value[2] * value[3]
        slopes = first * slope[0] * slope[1], second * slope[2] * slope[3]
        crossed = values[0] * slopes[1] + values[1] * slopes[0]
        both = c * (c + 2) * slopes[0] * slopes[1]
        return np.asarray(c**2 * (values[0] * values[1] + crossed) + both)

    means = [
        kernel_entry(sigma, gram[np.ix_(pair, pair)], c).mean
        for pair in ([0, 1], [2, 3])
    ]
    return joint_mean(product, gram) - means[0] * means[1]


def deep_linear_moments(
    gram: Floats, depth: int, n_outputs: int, width: int
) -> tuple[float, float]:
    """(mean, variance) of K(x, y) of `depth` linear hidden layers, exact at any width.

    h -> W h / sqrt(fan_in), W ~ N(0, 1), f = N^(-1/2) a h. K = sum_l b_l p_(l-1), one
    term a layer of weights: b_l the square of what leads from layer l to the outputs,
    p_l = h_l.h'_l / N. The two are independent, so the mean (depth + 1) C G has no
    correction. Their second moments obey linear recursions, by Wishart's moments.

    gram: [2, 2].
    """
    n, xy, c = width, gram[0, 1], n_outputs
    # Of (E p_xy^2, E p_xx p_yy), layer by layer.
    forward = np.array([[1 + 1 / n, 1 / n], [2 / n, 1]])
    # Of (E (tr Q)^2, E tr Q^2) for Q -> B W W' B' / N, Q = B B'.
    through = np.array([[1, 2 / n], [1 / n, 1 + 1 / n]])
    layers = np.arange(depth + 1)
    p = [np.linalg.matrix_power(forward, k) @ [xy**2, gram[0, 0] * gram[1, 1]]
         for k in layers]  # fmt: skip
    b = [np.linalg.matrix_power(through, k) @ [c**2, c] for k in layers[::-1]]
    between = [np.linalg.matrix_power(through, k) @ [n**2, n] / n**2 for k in layers]
    square = 0.0
    for low in layers:
        square += b[low][0] * p[low][0]
        for high in layers[low + 1 :]:
            square += 2 * between[high - low - 1][0] * b[high][0] * p[low][0]
    mean = (depth + 1) * c * xy
    return float(mean), float(square - mean**2)


class Expansion(NamedTuple):
    """K_N = leading + correction / N + O(1/N^2): the mean of one entry."""

    leading: float
    correction: float


def two_hidden_layers(sigma: Sigma, gram: Floats, n_outputs: int) -> Expansion:
    """Mean of K(x, y) of two hidden layers of N neurons, with its 1/N term.

    h -> W h / sqrt(fan_in), W ~ N(0, 1), f = N^(-1/2) a sigma(h_2). gram: [2, 2] inner
    products over fan_in; [1, 1] for the diagonal.

    Given the first layer, the second is normal with covariance g = mean_i sigma_i
    sigma_i', whose entries have mean g_inf and covariance V / N. With F(g) = E sigma
    sigma', H(g) = E sigma' sigma'' (slopes) and D = mean_i of the first layer's slopes,

        E K / C = E F(g) + E g_xy H(g) + G_xy E [D H(g) + (2/N) sum_f D_f dH/df],

    the last sum over the entries f of g, D_f = E slope slope' times what f is a mean
    of; it is there because a weight is correlated with the pre-activation it leads to
    (Stein's lemma). Each is expanded about g_inf to second order; of quadratic neurons
    nothing is left out, since their F and H are polynomials of degree 2 and 1.
    """
    places = [(i, j) for i in range(len(gram)) for j in range(i, len(gram))]
    last = places.index((0, len(gram) - 1))
    of_first = [_product(sigma.value, place) for place in places]
    of_first.append(_product(sigma.slope, places[last]))
    means = np.array([_mean(f, gram) for f in of_first])
    squares = np.array(
        [[_mean(_times(f, g), gram) for g in of_first] for f in of_first]
    )
    covariance = squares - np.outer(means, means)
    spread, g, d = covariance[:-1, :-1], means[:-1], means[-1]
    f_value, _, f_curve = _expanded(sigma.value, places, g)
    h_value, h_slope, h_curve = _expanded(sigma.slope, places, g)
    of_f, of_h = (np.sum(curve * spread) / 2 for curve in (f_curve, h_curve))
    of_third = h_slope @ (covariance[:-1, -1] + 2 * squares[:-1, -1]) + d * of_h
    correction = of_f + h_slope @ spread[:, last] + g[last] * of_h
    correction += gram[0, -1] * of_third
    leading = f_value + (g[last] + gram[0, -1] * d) * h_value
    return Expansion(float(n_outputs * leading), float(n_outputs * correction))


Function = Callable[[Floats], Floats]  # [k, ..] -> [..]
STEP = 1e-3  # of differences in the covariance's entries, over the largest of them


def _product(f: Callable[[Floats], Floats], place: tuple[int, int]) -> Function:
    return lambda h: f(h[place[0]]) * f(h[place[1]])


def _times(f: Function, g: Function) -> Function:
    return lambda h: f(h) * g(h)


def _mean(g: Function, covariance: Floats) -> float:
    """E g(h), h normal with covariance [1, 1] or [2, 2]."""
    pair = np.broadcast_to(covariance, (2, 2))
    return pair_mean(lambda h, other: g(np.stack([h, other])), pair)


def _expanded(
    f: Callable[[Floats], Floats], places: list[tuple[int, int]], at: Floats
) -> tuple[float, Floats, Floats]:
    """E f(h) f(h') as a function of the entries of the covariance that stand at places:
    its value there, gradient and Hessian, by differences."""
    size = max(places)[0] + 1

    def value(entries: Floats) -> float:
        covariance = np.empty((size, size))
        for entry, (i, j) in zip(entries, places, strict=True):
            covariance[i, j] = covariance[j, i] = entry
        return _mean(_product(f, (0, size - 1)), covariance)

    steps = STEP * np.max(at) * np.eye(len(at))
    centre = value(at)
    ends = np.array([[value(at + step), value(at - step)] for step in steps])
    size_of = STEP * np.max(at)
    gradient = (ends[:, 0] - ends[:, 1]) / (2 * size_of)
    curve = np.empty((len(at), len(at)))
    for i, one in enumerate(steps):
        curve[i, i] = ends[i].sum() - 2 * centre
        for j, two in enumerate(steps[:i]):
            outer = value(at + one + two) + value(at - one - two)
            inner = value(at + one - two) + value(at - one + two)
            curve[i, j] = curve[j, i] = (outer - inner) / 4
    return centre, gradient, curve / size_of**2
