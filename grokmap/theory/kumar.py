"""Two-layer network of quadratic neurons that learns a quadratic target.

Kumar, Bordelon, Gershman and Pehlevan, arXiv 2310.06110. Inputs x ~ N(0, I/D), P of
them for training; N neurons with readouts fixed to 1:

    f(x) = (alpha/N) sum_i phi(w_i.x),  phi(h) = h + (epsilon/2) h^2
         = alpha w_bar.x + (alpha epsilon/2) x^T M x,
    w_bar = mean_i w_i [D],  M = mean_i w_i w_i^T [D, D],

so f depends on the network through (w_bar, M) alone, and so does gradient descent.
A target is y = (1/2) x^T T x with T [D, D] symmetric: T = beta beta^T for the paper's
y = (1/2)(beta.x)^2. Centred training takes f - f_0 for f.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grokmap.arrays import Floats


class Moments(NamedTuple):
    """w_bar [D] and M [D, D]: all that f knows of the network."""

    w_bar: Floats
    m: Floats

    def __sub__(self, other: Moments) -> Moments:
        """Those of f - f_0: f is linear in (w_bar, M)."""
        return Moments(self.w_bar - other.w_bar, self.m - other.m)


class Path(NamedTuple):
    """Moments at the end; losses (mean of squared residuals) before each step and
    at the end, [n + 1]."""

    end: Moments
    train_loss: Floats
    population_loss: Floats


def network_moments(w: Floats) -> Moments:
    """Of the first layer w [N, D]."""
    return Moments(w.mean(axis=0), w.T @ w / len(w))


def outputs(moments: Moments, x: Floats, alpha: float, epsilon: float) -> Floats:
    """f [P] at x [P, D]."""
    quadratic = np.einsum("pi,pi->p", x @ moments.m, x)
    return alpha * (x @ moments.w_bar + epsilon / 2 * quadratic)


def targets(x: Floats, t: Floats) -> Floats:
    """y = (1/2) x^T T x [P] at x [P, D], T [D, D]."""
    return np.einsum("pi,pi->p", x @ t, x) / 2


def population_loss(moments: Moments, t: Floats, alpha: float, epsilon: float) -> float:
    """E (f - y)^2 over x ~ N(0, I/D), Eq. 6; of f - f_0 for the moments' difference.

    With B = alpha epsilon M - T: (1/4) (tr B / D)^2 + |B|_F^2 / (2 D^2)
    + alpha^2 |w_bar|^2 / D.
    """
    d = len(t)
    b = alpha * epsilon * moments.m - t
    mean = np.trace(b) / (2 * d)
    linear = alpha**2 * moments.w_bar @ moments.w_bar / d
    return float(mean**2 + np.sum(b * b) / (2 * d**2) + linear)


def descend(
    moments: Moments, x: Floats, residual: Floats, kappa: float, epsilon: float
) -> Moments:
    """One step of full-batch gradient descent, exact for any width.

    b = mean r x, C = mean r x x^T, A = I - kappa epsilon C; every neuron goes
    w -> A w - kappa b. kappa = 2 eta alpha / N for the mean of r^2 at rate eta:
    2/alpha at eta = N/alpha^2.
    """
    weighted = x * (residual / len(x))[:, None]
    force = weighted.sum(axis=0)
    a = np.eye(x.shape[1]) - kappa * epsilon * (x.T @ weighted)
    moved = a @ moments.w_bar
    cross = np.outer(moved, force)
    m = (
        a @ moments.m @ a
        - kappa * (cross + cross.T)
        + kappa**2 * np.outer(force, force)
    )
    return Moments(moved - kappa * force, m)


def train(
    start: Moments,
    x: Floats,
    t: Floats,
    alpha: float,
    epsilon: float,
    kappa: float,
    n_steps: int,
    centred: bool,
) -> Path:
    """n_steps of `descend` on x [P, D] with targets (1/2) x^T T x.

    centred: f - f_0 is fitted, and is what the losses are of.
    """
    origin = start if centred else Moments(0 * start.w_bar, 0 * start.m)
    y = targets(x, t)
    moments, losses = start, np.empty((n_steps + 1, 2))
    for k in range(n_steps + 1):
        moved = moments - origin
        residual = outputs(moved, x, alpha, epsilon) - y
        losses[k, 0] = np.mean(residual**2)
        losses[k, 1] = population_loss(moved, t, alpha, epsilon)
        if k < n_steps:
            moments = descend(moments, x, residual, kappa, epsilon)
    return Path(moments, losses[:, 0], losses[:, 1])


def ntk(moments: Moments, x1: Floats, x2: Floats, epsilon: float) -> Floats:
    """[P1, P2] tangent kernel over alpha^2 / N, at x1 [P1, D] and x2 [P2, D].

    x.x' (1 + epsilon w_bar.(x + x') + epsilon^2 x^T M x').
    """
    linear = (x1 @ moments.w_bar)[:, None] + (x2 @ moments.w_bar)[None, :]
    quadratic = x1 @ moments.m @ x2.T
    return (x1 @ x2.T) * (1 + epsilon * linear + epsilon**2 * quadratic)


def initial_kernel(x1: Floats, x2: Floats, epsilon: float) -> Floats:
    """[P1, P2] mean of `ntk` over w ~ N(0, I): x.x' + epsilon^2 (x.x')^2."""
    product = x1 @ x2.T
    return product + epsilon**2 * product**2


def initial_eigenvalues(n_inputs: int, epsilon: float) -> tuple[float, float]:
    """(lambda_lin, lambda_quad) of `initial_kernel` under x ~ N(0, I/D).

    1/D for x_i; 2 epsilon^2 / D^2 for x_i x_j with i != j and their traceless kin.
    (The paper's main text misprints epsilon for epsilon^2.)
    """
    return 1 / n_inputs, 2 * epsilon**2 / n_inputs**2
