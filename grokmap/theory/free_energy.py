"""F = L + (lambda/2) |w|^2 of the states of a deep linear network, in closed form.

A product of L weights, u = w_1 .. w_L, is to be s:
F = (s - u)^2 + (lambda/2) sum w_i^2. At a minimum the weights are of one size,
w = u^(1/L), so that

    F(u) = (s - u)^2 + (lambda L / 2) u^(2/L),  u >= 0.

One state has learned nothing, u = 0. At L = 2 it becomes the other at lambda = 2 s,
without a jump. At L = 3 (as in two layers of quadratic neurons, L being the degree of f
in the weights) there are two minima with a barrier: the learned one is stationary where
lambda = 2 w (s - w^3), exists up to lambda = (3/2) s (s/4)^(1/3), at u = s/4, and is
the lower one up to lambda = s (s/2)^(1/3), at u = s/2. (Elementary; own computation.)
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

DEGREES = (2, 3)


def objective(u: float, s: float, decay: float, degree: int) -> float:
    """F(u) of the best weights whose product is u >= 0."""
    return (s - u) ** 2 + decay * degree / 2 * u ** (2 / degree)


def end_of_learning(s: float, degree: int) -> float:
    """The largest lambda at which the learned state is a minimum; s > 0.

    Raises ValueError for degrees other than 2 and 3.
    """
    _check(degree)
    return 2 * s if degree == 2 else 1.5 * s * np.cbrt(s / 4)


def crossing(s: float, degree: int) -> float:
    """lambda at which the two states have one F: they meet (2), or lie apart (3).

    Raises ValueError as above.
    """
    _check(degree)
    return 2 * s if degree == 2 else s * np.cbrt(s / 2)


def learned(s: float, decay: float, degree: int) -> float:
    """u of the learned minimum; 0 beyond `end_of_learning`.

    Raises ValueError as above.
    """
    _check(degree)
    if decay >= end_of_learning(s, degree):
        return 0.0
    if degree == 2:
        return s - decay / 2
    low, high = np.cbrt(s / 4), np.cbrt(s)  # between spinodal and fit
    w = brentq(lambda w: 2 * w * (s - w**3) - decay, low, high, xtol=1e-15)
    return float(w**3)


def _check(degree: int) -> None:
    if degree not in DEGREES:
        raise ValueError(f"degree {degree}: known for 2 and 3, products of weights")
