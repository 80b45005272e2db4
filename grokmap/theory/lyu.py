"""Diagonal linear network: from the kernel predictor to the sparse one.

Lyu et al., arXiv 2311.18817. f(x) = sum_k (u_k^2 - v_k^2) x_k with u = v = alpha at the
start, flow d theta/dt = -dL/d theta - lambda theta on the mean logistic loss L. The
kernel predictor holds until (1/lambda) ln alpha, up to a factor 1 -+ c for large alpha;
then comes a sparse one, that of the largest L1 margin.

u_k v_k = alpha^2 exp(-2 lambda t) exactly, so w = u^2 - v^2 obeys a flow of its own; in
s = lambda t, with g = dL/dw,

    dw/ds = -2 w - (4/lambda) sqrt(w^2 + 4 alpha^4 exp(-4 s)) g(w),    w(0) = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.integrate import OdeSolution, solve_ivp
from scipy.special import expit

from grokmap.arrays import Floats

N_PLACES = 200  # of s at which the test accuracy is looked at
BISECTIONS = 12
TOLERANCE = 1e-8  # relative; absolute in w


class Data(NamedTuple):
    """Inputs [n, d] of +-1 and labels [n] of +-1."""

    x: Floats
    y: Floats


def sparse_sign(n: int, d: int, seed: int | list[int]) -> Data:
    """x uniform on {-1, 1}^d, y = sign(x_1 + x_2 + x_3); d >= 3."""
    x = np.random.default_rng(seed).choice([-1.0, 1.0], (n, d))
    return Data(x, np.sign(x[:, :3].sum(axis=1)))


def loss_gradient(w: Floats, data: Data) -> Floats:
    """dL/dw [d] = -mean over examples of y x expit(-y w.x)."""
    return -(data.y * expit(-data.y * (data.x @ w))) @ data.x / len(data.y)


def velocity(s: float, w: Floats, data: Data, alpha: float, lambda_: float) -> Floats:
    """dw/ds [d] at w [d]."""
    spread = np.sqrt(w**2 + 4 * alpha**4 * np.exp(-4 * s))
    return -2 * w - 4 / lambda_ * spread * loss_gradient(w, data)


def jacobian(s: float, w: Floats, data: Data, alpha: float, lambda_: float) -> Floats:
    """d velocity / dw [d, d]."""
    spread = np.sqrt(w**2 + 4 * alpha**4 * np.exp(-4 * s))
    margin = data.y * (data.x @ w)
    bend = expit(margin) * expit(-margin) / len(margin)
    hessian = (data.x * bend[:, None]).T @ data.x
    diagonal = 2 + 4 / lambda_ * (w / spread) * loss_gradient(w, data)
    return -np.diag(diagonal) - 4 / lambda_ * spread[:, None] * hessian


def flow(data: Data, alpha: float, lambda_: float, end: float) -> OdeSolution:
    """w(s), s in [0, end], callable; by a stiff solver.

    Raises RuntimeError if it gives up.
    """
    done = solve_ivp(
        velocity, (0, end), np.zeros(data.x.shape[1]), method="BDF", jac=jacobian,
        args=(data, alpha, lambda_), rtol=TOLERANCE, atol=TOLERANCE, dense_output=True,
        first_step=1e-3 * lambda_ / (8 * alpha**2),
    )  # fmt: skip
    if not done.success:
        raise RuntimeError(f"flow at alpha = {alpha}: {done.message}")
    return done.sol


def accuracy(w: Floats, data: Data) -> Floats:
    """[k] share of right signs, of w [d, k]."""
    return np.mean((data.x @ w) * data.y[:, None] > 0, axis=0)


def grok_place(solution: OdeSolution, test: Data, end: float, level: float) -> float:
    """s = lambda t from which the test accuracy stays at level; inf for never.

    Dips between N_PLACES even places in [0, end] are not seen; the last crossing is
    bisected to end / N_PLACES / 2^BISECTIONS.
    """
    s = np.linspace(0, end, N_PLACES + 1)
    below = np.flatnonzero(accuracy(solution(s), test) < level)
    if len(below) == 0:
        return 0.0
    if below[-1] == N_PLACES:
        return float("inf")
    low, high = s[below[-1]], s[below[-1] + 1]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        learned = accuracy(solution([middle]), test)[0] >= level
        low, high = (low, middle) if learned else (middle, high)
    return float(high)


def slope(log_alpha: Floats, places: Floats) -> tuple[float, float]:
    """(slope, intercept) of s = lambda t_grok over ln alpha, least squares."""
    coefficients = np.polynomial.polynomial.polyfit(log_alpha, places, 1)
    return float(coefficients[1]), float(coefficients[0])
