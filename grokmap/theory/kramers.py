"""Escape over a barrier by thermal noise: Kramers' times, exactly and for cold systems.

Overdamped Langevin dynamics d theta = -grad F dt + sqrt(2 T) dW, as `optimizers`'
langevin takes it in steps dt. Kramers, Physica 7, 284 (1940); several dimensions:
Eyring and Kramers' law, in Haenggi, Talkner and Borkovec, Rev. Mod. Phys. 62, 251
(1990), Eq. 4.54 in the limit of strong friction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.optimize import root

from grokmap.arrays import Floats

Gradient = Callable[[Floats], Floats]  # [n] -> [n]
STEP = 1e-5  # of central differences, of weights of order 1
REFUSED = 1e-8  # a larger gradient is that of no stationary point
SAME = 1e-3  # two points this near in every weight are one


class Pass(NamedTuple):
    """A saddle by which a minimum is left.

    barrier: F there less F at the minimum. attempts: rate at 1/T = 0, (|l|/2 pi)
    sqrt(det H_min / |det H_saddle|), l the one negative eigenvalue; in 1/time.
    """

    barrier: float
    attempts: float

    def time(self, temperature: float) -> float:
        """Mean time exp(barrier / T) / attempts, for T well below the barrier."""
        return float(np.exp(self.barrier / temperature) / self.attempts)


def double_well(theta: Floats, barrier: float) -> Floats:
    """F = barrier (theta^2 - 1)^2: wells at -1 and 1, curvature 8 barrier there and
    -4 barrier at the top, 0."""
    return barrier * (theta**2 - 1) ** 2


def double_well_pass(barrier: float) -> Pass:
    """`Pass` of `double_well`, from one well over the top."""
    return Pass(barrier, float(np.sqrt(8 * 4) * barrier / (2 * np.pi)))


def passage_time(
    potential: Callable[[Floats], Floats],
    temperature: float,
    ends: tuple[float, float],
    reflecting: float,
    n_points: int = 40001,
) -> float:
    """Mean first passage time from ends[0] to ends[1] in one dimension, by quadrature.

    (1/T) int_a^b dy exp(U(y)/T) int_r^y dz exp(-U(z)/T), exact at any T; r: where the
    system is reflected, so far below a that nothing goes there. r < a < b.
    """
    before = np.linspace(reflecting, ends[0], n_points)
    x = np.linspace(*ends, n_points)
    lowest = potential(x).min()
    below, weights = (
        np.exp((lowest - potential(part)) / temperature) for part in (before, x)
    )
    inside = np.trapezoid(below, before) + cumulative_trapezoid(weights, x, initial=0)
    return float(np.trapezoid(inside / weights, x) / temperature)


def harmonic_variance(stiffness: float, temperature: float, step: float = 0.0) -> float:
    """Variance T/k of F = k theta^2/2; in steps of length dt, T / (k (1 - k dt/2))."""
    return temperature / (stiffness * (1 - stiffness * step / 2))


def hessian(gradient: Gradient, theta: Floats) -> Floats:
    """[n, n] of F at theta [n], by central differences of its gradient."""
    offsets = STEP * np.eye(len(theta))
    rows = [(gradient(theta + e) - gradient(theta - e)) / (2 * STEP) for e in offsets]
    return np.asarray((np.array(rows) + np.array(rows).T) / 2)


def stationary(gradient: Gradient, near: Floats) -> Floats:
    """[n] the stationary point that Newton's method finds from `near`.

    Raises:
      ValueError: it finds none.
    """
    found = root(gradient, near, jac=lambda z: hessian(gradient, z), tol=1e-13)
    size = float(np.linalg.norm(gradient(found.x)))
    if not size < REFUSED:
        raise ValueError(f"no stationary point near: the gradient stays at {size:.2g}")
    return np.asarray(found.x)


def saddle_pass(
    function: Callable[[Floats], float],
    gradient: Gradient,
    minimum: Floats,
    saddle: Floats,
) -> Pass:
    """`Pass` from a minimum [n] over a saddle [n] of F, both stationary points.

    Raises:
      ValueError: the one is no minimum, or the other no saddle of index 1.
    """
    bottom = np.linalg.eigvalsh(hessian(gradient, minimum))
    top = np.linalg.eigvalsh(hessian(gradient, saddle))
    if bottom[0] <= 0 or not top[0] < 0 < top[1]:
        raise ValueError(
            f"eigenvalues from {bottom[0]:.2g} at the minimum, which needs all above "
            f"0, and from {top[0]:.2g}, {top[1]:.2g} at the saddle, which needs one "
            "below 0"
        )
    logs = np.sum(np.log(bottom)) - np.sum(np.log(abs(top)))
    attempts = -top[0] / (2 * np.pi) * np.exp(logs / 2)
    return Pass(function(saddle) - function(minimum), float(attempts))


def passes(
    function: Callable[[Floats], float],
    gradient: Gradient,
    minimum: Floats,
    starts: Iterable[Floats],
) -> list[tuple[Pass, Floats]]:
    """The saddles by which a minimum [n] is left, the lowest first, each with its [n].

    Newton's method from each of `starts` finds stationary points; those of index 1 from
    which descent on one of both sides ends at the minimum are kept. A saddle that no
    start leads to is missed.
    """
    found: list[tuple[Pass, Floats]] = []
    for start in starts:
        try:
            saddle = stationary(gradient, start)
            over = saddle_pass(function, gradient, minimum, saddle)
        except ValueError:
            continue
        known = any(np.allclose(saddle, other, atol=SAME) for _, other in found)
        if not known and _leads_to(gradient, saddle, minimum):
            found.append((over, saddle))
    return sorted(found, key=lambda each: each[0].barrier)


def _leads_to(gradient: Gradient, saddle: Floats, minimum: Floats) -> bool:
    values, vectors = np.linalg.eigh(hessian(gradient, saddle))
    step = 0.5 / abs(values).max()
    return any(
        np.allclose(_descended(gradient, saddle + side, step), minimum, atol=SAME)
        for side in (0.01 * vectors[:, 0], -0.01 * vectors[:, 0])
    )


def _descended(gradient: Gradient, theta: Floats, step: float) -> Floats:
    """Where descent ends, after 20,000 steps at most."""
    for _ in range(20_000):
        slope = gradient(theta)
        if np.linalg.norm(slope) < REFUSED:
            break
        theta = theta - step * slope
    return theta


def batch_temperature(
    step: float, batch_size: int, covariance: Floats
) -> tuple[float, Floats]:
    """(T, T_i [n]): temperatures whose Langevin dynamics is as noisy as batches.

    Gradients of batches have covariance C/B, C [n, n] that of single examples, and
    kicks of size step * gradient at step take the place of sqrt(2 step T) xi:
    T_i = step C_ii / (2 B) along direction i, and T their mean, which gives the mean of
    F above its minimum, n T / 2 (Mandt, Hoffman and Blei, arXiv 1704.04289, for small
    steps about a minimum). One temperature where all T_i are alike.
    """
    each = step * np.diag(covariance) / (2 * batch_size)
    return float(each.mean()), each
