"""Effective theory of representations that learn addition.

Liu et al., arXiv 2205.10343. p symbols with scalar representations E_k, k = 0..p-1;
samples are unordered pairs (i, j), i <= j, with sum i + j; a training set D is a choice
of them. Each two samples of D with equal sums make a parallelogram (i, j, m, n), and
the loss asks E_i + E_j = E_m + E_n of it. The line E_k = a + b k solves all; a training
set whose parallelograms have no other solution makes the network generalise.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from grokmap.arrays import Bools, Floats, Ints

# Ranks are taken modulo this prime. They are those over the rationals while no minor
# reaches it: rows have length sqrt(6) at most, so minors 6^((p-2)/2) (Hadamard).
PRIME = 2**31 - 1
LARGEST_P = 25
# Mean square error of a satisfied parallelogram of standardised representations.
TOLERANCE = 0.01


def all_pairs(p: int) -> Ints:
    """[p (p + 1) / 2, 2] unordered pairs i <= j."""
    return np.stack(np.triu_indices(p), axis=1)


def counts(pairs: Ints, p: int) -> Ints:
    """[n, p] how often symbol k is in sample n: rows sum to 2."""
    return np.eye(p, dtype=np.int64)[pairs].sum(axis=-2)


def equations(pairs: Ints, p: int) -> Ints:
    """[m, p] a row e_i + e_j - e_m - e_n for each parallelogram of samples [n, 2]."""
    sums, rows = pairs.sum(axis=1), counts(pairs, p)
    first, second = np.triu_indices(len(pairs), 1)
    equal = sums[first] == sums[second]
    return rows[first[equal]] - rows[second[equal]]


def rank(matrices: Ints) -> Ints:
    """[B] ranks of rows of parallelograms [B, m, p], by elimination modulo PRIME.

    Raises ValueError for p above LARGEST_P, where a minor may be divisible by it.
    """
    if matrices.shape[2] > LARGEST_P:
        raise ValueError(f"ranks are exact up to p = {LARGEST_P}, not at this p")
    left, ranks = matrices % PRIME, np.zeros(len(matrices), np.int64)
    for column in range(left.shape[2]):
        pivot = (left[:, :, column] != 0).argmax(axis=1)
        row = left[np.arange(len(left)), pivot]
        ranks += row[:, column] != 0
        row = row * _inverses(row[:, column])[:, None] % PRIME
        # The pivot's own row becomes 0 too, so it is never chosen again.
        factor = left[:, :, column, None]
        left = (left - factor * row[:, None, :] % PRIME) % PRIME
    return ranks


def _inverses(values: Ints) -> Ints:
    """Modulo PRIME, 0 for 0, by Fermat's little theorem."""
    out, power, exponent = np.ones_like(values), values % PRIME, PRIME - 2
    while exponent:
        if exponent & 1:
            out = out * power % PRIME
        power, exponent = power * power % PRIME, exponent >> 1
    return out


def null_dimension(pairs: Ints, p: int) -> Ints:
    """Dimension of the solutions E of training sets [..., n, 2]; 2..p, p for no
    equations.

    Each sample against the first with its sum: fewer rows, of the same span.
    """
    sets = pairs.reshape(-1, *pairs.shape[-2:])
    sums, rows = sets.sum(axis=2), counts(sets, p)
    first = (sums[:, :, None] == sums[:, None, :]).argmax(axis=2)
    spanning = rows - np.take_along_axis(rows, first[:, :, None], axis=1)
    return (p - rank(spanning)).reshape(pairs.shape[:-2])


def is_unique(pairs: Ints, p: int) -> Bools:
    """[...] whether only a + b k solves, for training sets [..., n, 2]; p >= 2."""
    return null_dimension(pairs, p) == 2


def probability_unique(p: int, n: int, n_splits: int, seed: int) -> float:
    """Share of random training sets of n of the pairs with a unique solution."""
    rng = np.random.default_rng([seed, n])
    pairs = all_pairs(p)
    order = rng.permuted(np.tile(np.arange(len(pairs)), (n_splits, 1)), axis=1)
    return float(np.mean(is_unique(pairs[order[:, :n]], p)))


def effective_loss(representation: Floats, rows: Floats | Ints) -> float:
    """l_eff = l_0 / Z_0 of E [p]; l_0 the mean over `equations` [m, p] of (row.E)^2,
    Z_0 = |E|^2. In [0, 6]; 0 without equations."""
    if len(rows) == 0:
        return 0.0
    return float(np.mean((rows @ representation) ** 2) / np.sum(representation**2))


def effective_hessian(rows: Floats | Ints, z0: float = 1.0) -> Floats:
    """H [p, p] = (2 / (m Z_0)) sum of row row^T: dE/dt = -H E at frozen Z_0.

    Flat along 1 and along k, translation and scale, and along any other solution.
    """
    return 2 * np.asarray(rows, float).T @ rows / (max(len(rows), 1) * z0)


def effective_flow(representation: Floats, rows: Floats | Ints) -> Floats:
    """dE/dt = -d l_eff / dE = -H E + (2 l_eff / Z_0) E, [p].

    Z_0 = |E|^2 is conserved. C = sum_k E_k follows dC/dt = (2 l_eff / Z_0) C: conserved
    at 0, where centred representations have it, and in the structured state l_eff = 0.
    """
    z0 = float(np.sum(representation**2))
    pull = 2 * effective_loss(representation, rows) / z0
    hessian = effective_hessian(rows, z0)
    return pull * representation - hessian @ representation


def structure_rate(pairs: Ints, p: int, z0: float = 1.0) -> float:
    """lambda_3, third smallest eigenvalue of H: above 0 iff the solution is unique.

    Exactly 0 otherwise, by `is_unique`.
    """
    if not is_unique(pairs, p):
        return 0.0
    return float(np.linalg.eigvalsh(effective_hessian(equations(pairs, p), z0))[2])


def structure_steps(rate: float, learning_rate: float) -> float:
    """n_h = 1 / (lambda_3 eta) steps; structure takes about 3 n_h. inf at rate 0."""
    return 1 / (rate * learning_rate) if rate > 0 else float("inf")


def predicted_accuracy(representation: Floats, pairs: Ints) -> float:
    """Share of all pairs that are known or completed by a satisfied parallelogram.

    A pair is completed where a sample (i, j) of `pairs` [n, 2] has its sum and
    (E_i + E_j - E_m - E_n)^2, E [p] or [p, k] (mean over k) standardised, is below
    TOLERANCE. Range [n / (p (p + 1) / 2), 1].
    """
    e = representation.reshape(len(representation), -1)
    e = (e - e.mean(axis=0)) / e.std(axis=0, ddof=1)
    every = all_pairs(len(e))
    gap = e[every].sum(axis=1)[:, None] - e[pairs].sum(axis=1)[None, :]
    equal = every.sum(axis=1)[:, None] == pairs.sum(axis=1)[None, :]
    known = equal & (np.mean(gap**2, axis=2) < TOLERANCE)
    return float(np.mean(known.any(axis=1)))


def half_point(places: Floats, shares: Floats) -> float:
    """Place at which a rising curve of shares passes 1/2, by linear interpolation.

    Raises ValueError where it does not.
    """
    return float(brentq(lambda x: np.interp(x, places, shares) - 0.5, *places[[0, -1]]))
