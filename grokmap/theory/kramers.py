"""Escape over a barrier by thermal noise: Kramers' times, exactly and for cold systems.

Overdamped Langevin dynamics d theta = -grad F dt + sqrt(2 T) dW, as `optimizers`'
langevin takes it in steps dt. Kramers, Physica 7, 284 (1940); several dimensions:
Eyring and Kramers' law, in Haenggi, Talkner and Borkovec, Rev. Mod. Phys. 62, 251
(1990), Eq. 4.54 in the limit of strong friction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.integrate import cumulative_trapezoid
from scipy.optimize import root

from grokmap.arrays import Floats

Gradient = Callable[[Floats], Floats]  # [n] -> [n]
STEP = 1e-5  # of central differences, of weights of order 1
REFUSED = 1e-8  # a larger gradient is that of no stationary point


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


def edge(
    gradient: Gradient,
    basin: Callable[[Floats], bool],
    inside: Floats,
    outside: Floats,
    step: float,
    n_steps: int,
    halvings: int = 40,
) -> Floats:
    """[n] a point near the saddle at which the edge of a basin ends.

    The line from a point of the basin to one outside is halved until both sides are
    next to the edge; descent along the edge, halving again wherever the two have
    separated, comes to a saddle (edge tracking: Skufca, Yorke and Eckhardt, Phys. Rev.
    Lett. 96, 174101 (2006)). The point of least gradient on the way is returned.

    Args:
      basin: whether descent from a point ends in the basin.
      step, n_steps: of the descent along the edge.
    """
    least, best = np.inf, inside
    for number in range(n_steps):
        if number % 20 == 0:
            inside, outside = _next_to_edge(basin, inside, outside, halvings)
        inside, outside = (z - step * gradient(z) for z in (inside, outside))
        size = float(np.linalg.norm(gradient(inside)))
        if size < least:
            least, best = size, inside
    return best


def _next_to_edge(
    basin: Callable[[Floats], bool], inside: Floats, outside: Floats, halvings: int
) -> tuple[Floats, Floats]:
    for _ in range(halvings):
        if np.linalg.norm(outside - inside) < 1e-7:
            break
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if basin(middle) else (inside, middle)
    return inside, outside
