"""Least squares without a penalty, by gradient descent from zero: test losses.

Hastie, Montanari, Rosset and Tibshirani, Ann. Stat. 50 (2022) 949 (arXiv 1903.08560).
y = x.beta + noise, n inputs x ~ N(0, I) of dimension d, |beta|^2 = 1, noise of standard
deviation sigma; the test loss is that against x.beta, without noise. Descent from w = 0
ends at the solution of least norm, whose test loss has a peak at n = d.

Weights are taken in the inputs' own singular directions: with X = U s V^T and
nu = s^2 / n, descent of the mean square error at rate eta multiplies the residual of
each by 1 - 2 eta nu a step.
"""

from __future__ import annotations

import numpy as np

from grokmap.arrays import Floats


def risk(n: int, d: int, sigma: float) -> float:
    """Expected test loss at rest, over inputs and noise.

    n > d + 1: sigma^2 d / (n - d - 1); n < d - 1: 1 - n/d + sigma^2 n / (d - n - 1),
    by the mean of an inverse Wishart matrix; between, with noise, infinite. As n and d
    grow at fixed d / n these are the limits of Hastie et al. (their Theorem 1).
    """
    low, high = min(n, d), max(n, d)
    bias = max(0.0, 1 - n / d)
    if sigma == 0:
        return bias
    return bias + sigma**2 * low / (high - low - 1) if high > low + 1 else np.inf


def weights_at(x: Floats, y: Floats, rate: float, steps: Floats) -> Floats:
    """[k, d] the weights after so many steps of descent from 0; infinity: at rest.

    Args:
      x: [n, d]; y: [n]; rate: eta, below 1 / nu of the largest direction; steps: [k].

    Raises ValueError where descent at this rate diverges.
    """
    u, s, v = np.linalg.svd(x, full_matrices=False)
    kept = s > s[0] * np.finfo(s.dtype).eps * max(x.shape)
    u, s, v = u[:, kept], s[kept], v[kept]
    factor = 1 - 2 * rate * s**2 / len(x)
    if (np.abs(factor) >= 1).any():
        raise ValueError(f"rate = {rate}: above 1 / {s[0] ** 2 / len(x):.3g}, diverges")
    learned = 1 - factor ** steps[:, None]
    weights: Floats = (learned * (u.T @ y / s)) @ v
    return weights


def losses_at(
    x: Floats, y: Floats, x_test: Floats, y_test: Floats, rate: float, steps: Floats
) -> Floats:
    """[k] mean square errors on given test examples along the same descent."""
    errors = weights_at(x, y, rate, steps) @ x_test.T - y_test
    losses: Floats = np.mean(errors**2, axis=1)
    return losses
