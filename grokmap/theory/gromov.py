"""Analytic weights that add modulo p, and the baselines of their order parameters.

Gromov, arXiv 2301.02679: f(a, b) = W2 (W1 x)^2 / (2 p N), x = onehot(a) ++ onehot(b),
with cosines of one frequency a neuron in W1 [N, 2p] and W2 [p, N].
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grokmap.arrays import Floats


def analytic_weights(p: int, width: int, seed: int) -> tuple[Floats, Floats]:
    """(W1 [N, 2p], W2 [p, N]) that add modulo p.

    Neuron k has frequency sigma(k), 1..p-1 in turn, and phases phi_1 + phi_2 = phi_3,
    the first two uniform:
    W1 = (cos(2 pi sigma a/p + phi_1), cos(2 pi sigma b/p + phi_2)),
    W2 = cos(-2 pi sigma c/p - phi_3).
    """
    first, second = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, width, 1))
    frequency = np.arange(width) % (p - 1) + 1
    angle = 2 * np.pi / p * (frequency[:, None] * np.arange(p))
    hidden = np.cos(np.concatenate([angle + first, angle + second], axis=1))
    return hidden, np.cos(angle + first + second).T


def outputs(w1: Floats, w2: Floats) -> Floats:
    """f [p, p, p], axes a, b, c."""
    p, width = w2.shape
    h = w1[:, :p, None] + w1[:, None, p:]
    return np.tensordot(h**2, w2, axes=(0, 1)) / (2 * p * width)


def accuracy(w1: Floats, w2: Floats) -> float:
    """Share of all p^2 pairs with the largest output at (a + b) mod p."""
    p = len(w2)
    wanted = np.add.outer(np.arange(p), np.arange(p)) % p
    return float(np.mean(outputs(w1, w2).argmax(axis=2) == wanted))


def phase_match(w1: Floats, w2: Floats) -> Floats:
    """[N] cos(phi_1 + phi_2 - phi_3) of each neuron, at the frequency at which w1 has
    most power, the constant one left out.

    1 for analytic weights; of random ones the mean is 0.
    """
    p = len(w2)
    first, second, third = (np.fft.rfft(w) for w in (w1[:, :p], w1[:, p:], w2.T))
    power = np.abs(first[:, 1:]) ** 2 + np.abs(second[:, 1:]) ** 2
    at = np.arange(len(w1)), 1 + np.argmax(power, axis=1)
    product = first[at] * second[at] * np.conj(third[at])
    return np.asarray(np.cos(np.angle(product)))


def inverse_participation(spectrum: npt.NDArray[np.complex128]) -> Floats:
    """[n] (|u|_4 / |u|_2)^4 of rows [n, K]: 1 for one component, 1/K for equal ones."""
    power = np.abs(spectrum) ** 2
    return np.sum(power**2, axis=1) / np.sum(power, axis=1) ** 2


def gini(values: Floats) -> Floats:
    """[n] Gini coefficient of rows [n, K] of values >= 0: 0 equal, 1 - 1/K for one."""
    n = values.shape[1]
    ordered = np.sort(values, axis=1)
    rank = 2 * np.arange(1, n + 1) - n - 1
    return ordered @ rank / (n * ordered.sum(axis=1))


def gaussian_baselines(p: int, n_rows: int, seed: int) -> tuple[float, float, float]:
    """Means over rows N(0, I) [p] of (IPR of rfft, IPR of fft, Gini of |rfft|).

    About 4/p, 2/p and 1 - 1/sqrt(2) (Rayleigh law) for large p.
    """
    rows = np.random.default_rng(seed).standard_normal((n_rows, p))
    half, full = np.fft.rfft(rows), np.fft.fft(rows)
    return (
        float(np.mean(inverse_participation(half))),
        float(np.mean(inverse_participation(full))),
        float(np.mean(gini(np.abs(half)))),
    )
