"""The mean-field limit of a two-layer linear network, in closed form.

f(x) = (K/N) sum_j a_j (w_j.x), weights N(0, 1), training as in `mean_field`. Given
residuals, theta = (a, w) of a neuron moves by a matrix that is the same for all:

    theta <- A theta,  A = (1 - r) I - eta [[0, G], [G^T, 0]],
    G = (2/nK) sum_mu Delta_mu x_mu^T [C, d],  r = eta lambda / K^2,

so that second moments close: M = E[theta theta^T] <- A M A^T, and f(x) = K M_aw x with
M_aw the upper right block [C, d]. M_0 = I in the limit; for a network of N neurons the
same recursion is exact from its own M_0 = (1/N) sum_j theta_j theta_j^T.
"""

from __future__ import annotations

import numpy as np

from grokmap.arrays import Floats
from grokmap.theory.mean_field import Neurons, Problem


def moments(neurons: Neurons) -> Floats:
    """M [C + d, C + d] of S neurons."""
    theta = np.concatenate([neurons.readout, neurons.first], axis=1)
    return np.asarray(theta.T @ theta / len(theta))


def outputs(problem: Problem, m: Floats, n_steps: int) -> Floats:
    """f [n_steps + 1, m, C] from moments M_0; sigma of the problem is not read.

    Raises ValueError for momentum, which these moments do not hold.
    """
    if problem.momentum:
        raise ValueError(f"momentum = {problem.momentum:g}: moments close without it")
    n, c = problem.n_train, problem.y.shape[1]
    origin = problem.laziness * problem.x @ m[:c, c:].T * problem.center
    path = []
    for _ in range(n_steps + 1):
        path.append(problem.laziness * problem.x @ m[:c, c:].T - origin)
        residual = path[-1][:n] - problem.y[:n]
        a = _step(problem, residual.T @ problem.x[:n])
        m = a @ m @ a.T
    return np.array(path)


def _step(problem: Problem, correlated: Floats) -> Floats:
    """A of the module docstring; correlated: sum_mu Delta_mu x_mu^T [C, d]."""
    c, d = correlated.shape
    k, eta = problem.laziness, problem.learning_rate
    a = (1 - eta * problem.weight_decay / k**2) * np.eye(c + d)
    g = 2 / (problem.n_train * k) * correlated
    a[:c, c:] -= eta * g
    a[c:, :c] -= eta * g.T
    return a
