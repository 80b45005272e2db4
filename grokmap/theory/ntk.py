"""Training with a fixed tangent kernel: the lazy limit of any network.

Jacot, Gabriel and Hongler, arXiv 1806.07572; Lee et al., arXiv 1902.06720.
"""

from __future__ import annotations

import numpy as np

from grokmap.arrays import Floats

# Eigenvalues below this share of the largest are taken for 0: never learned.
LEAST_EIGENVALUE = 1e-12


def eigenmodes(kernel: Floats) -> tuple[Floats, Floats]:
    """(values [n], rising, vectors [n, n]) of a kernel [n, n]; values that are rounding
    of 0 are 0."""
    values, vectors = np.linalg.eigh(kernel)
    return np.where(values > LEAST_EIGENVALUE * values[-1], values, 0.0), vectors


def kernel_regression(
    train_kernel: Floats,
    test_kernel: Floats,
    y: Floats,
    train_start: Floats,
    test_start: Floats,
    time: float = np.inf,
) -> Floats:
    """Outputs at m test inputs, [m] or [m, C], after gradient flow for a time.

    f(x) = f_0(x) + K(x, X) K^-1 (1 - exp(-2 K t / n)) (y - f_0(X)): flow at rate 1 of
    the mean over the n training inputs of (f - y)^2, summed over outputs, under a
    kernel K that stays. Units of time: 1 / (rate of flow).

    Args:
      train_kernel: [n, n] K(X, X), symmetric, without negative eigenvalues.
      test_kernel: [m, n] K(x, X).
      y, train_start, test_start: targets [n(, C)], f_0 at the n and the m inputs.

    Directions of K(X, X) without an eigenvalue stay unlearned (pseudo-inverse).
    """
    values, vectors = eigenmodes(train_kernel)
    values, vectors = values[values > 0], vectors[:, values > 0]
    learned = -np.expm1(-2 * values * (time / len(y)))
    inverse = (vectors * (learned / values)) @ vectors.T
    return np.asarray(test_start + test_kernel @ (inverse @ (y - train_start)))
