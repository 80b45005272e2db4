"""What Muon's five Newton-Schulz steps do to singular values.

Jordan et al., Muon (2024), as in optax.contrib. G is divided by its Frobenius norm;
then X -> a X + b X X^T X + c (X X^T)^2 X, which maps each singular value by the odd
polynomial a s + b s^3 + c s^5 and leaves singular vectors alone.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from grokmap.arrays import Floats

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5


def newton_schulz(singular_values: Floats) -> Floats:
    """Images of singular values in units of |G|_F, in [0, 1], after the steps."""
    a, b, c = COEFFICIENTS
    s = np.asarray(singular_values, float)
    for _ in range(STEPS):
        s = a * s + b * s**3 + c * s**5
    return s


def bounds(least: float, n_points: int = 200_001) -> tuple[float, float]:
    """(low, high) of the images of [least, 1], on a grid even in the logarithm."""
    image = newton_schulz(np.geomspace(least, 1, n_points))
    return float(image.min()), float(image.max())


def spectrum(n: int, least: float) -> Floats:
    """[n] singular values from least, even in the logarithm, of unit Frobenius norm.

    Raises ValueError where n of them are too many: n least^2 >= 1.
    """

    def excess(largest: float) -> float:
        return float(np.linalg.norm(np.geomspace(least, largest, n)) - 1)

    if n * least**2 >= 1:
        raise ValueError(f"{n} singular values of {least} exceed a norm of 1")
    return np.geomspace(least, brentq(excess, least, 1.0), n)


def matrix_with(singular_values: Floats, shape: tuple[int, int], seed: int) -> Floats:
    """[rows, columns] of these singular values [min(shape)], random vectors."""
    rng = np.random.default_rng(seed)
    k = len(singular_values)
    left, right = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in shape)
    return (left * singular_values) @ right.T


def optax_singular_values(matrix: Floats) -> Floats:
    """[min(shape)] singular values, falling, of optax's first update for a gradient.

    float32; without momentum and shape factors, so it is the orthogonalisation alone.
    """
    # Late: a list of reproductions must not wait for jax.
    import jax.numpy as jnp
    import optax

    muon = optax.contrib.scale_by_muon(
        ns_coeffs=COEFFICIENTS, ns_steps=STEPS, beta=0.0, nesterov=False
    )
    gradient = jnp.asarray(matrix, jnp.float32)
    update, _ = muon.update(gradient, muon.init(gradient))
    return np.linalg.svd(np.asarray(update, float), compute_uv=False)
