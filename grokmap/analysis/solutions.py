"""How alike trained networks are, and how many unlike ones there would be.

A quadratic neuron (a, w) gives a (w.x)^2: the tensor a x w x w. Two are compared
by the inner product of theirs, (a.a') (w.w')^2, which knows neither the sign of w nor
how a size is shared between a and w.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from grokmap.arrays import Floats


class Layers(NamedTuple):
    """A network of N quadratic neurons on pairs of p tokens: readout a [N, p], first w
    [N, 2 p], that of the first token before that of the second."""

    readout: Floats
    first: Floats


def products(one: Layers, other: Layers) -> Floats:
    """[N, N'] inner products of neurons."""
    first: Floats = (one.first @ other.first.T) ** 2
    return one.readout @ other.readout.T * first


def overlap(one: Layers, other: Layers) -> float:
    """Of two networks of N neurons, matched so that it is largest; at most 1.

    max over permutations of sum_j <t_j, t'_pi(j)> / sqrt(sum |t_j|^2 sum |t'_j|^2), by
    the Hungarian algorithm. 1: the same neurons in another order.
    """
    pairs = products(one, other)
    rows, columns = linear_sum_assignment(pairs, maximize=True)
    sizes = [np.trace(products(x, x)) for x in (one, other)]
    return float(pairs[rows, columns].sum() / np.sqrt(sizes[0] * sizes[1]))


def moved(network: Layers, factor: int, shifts: tuple[int, int]) -> Layers:
    """The network with its tokens called otherwise, so that it computes the same sum.

    a -> k a + s, b -> k b + t, c -> k c + s + t mod p: a symmetry of modular addition.
    factor: k, prime to p; shifts: (s, t).
    """
    p = network.readout.shape[1]
    tokens = [factor * np.arange(p) + shift for shift in (*shifts, sum(shifts))]
    a, b, c = (np.argsort(part % p) for part in tokens)
    first = np.concatenate([network.first[:, a], network.first[:, p + b]], axis=1)
    return Layers(network.readout[:, c], first)


def overlap_up_to_symmetry(one: Layers, other: Layers) -> float:
    """The largest `overlap` over all p^2 (p - 1) ways to call the tokens; p prime."""
    p = one.readout.shape[1]
    return max(
        overlap(one, moved(other, factor, (s, t)))
        for factor in range(1, p)
        for s in range(p)
        for t in range(p)
    )


def frequency_shares(network: Layers) -> Floats:
    """[p // 2] share of each frequency 1, 2, .. in the weights; they sum to 1.

    Of neurons weighted by |a| |w|^2, the mean share of power at the frequency in a and
    in both halves of w, without their means; p odd.
    """
    p = network.readout.shape[1]
    parts = (network.readout, network.first[:, :p], network.first[:, p:])
    powers = [np.abs(np.fft.rfft(part, axis=1))[:, 1:] ** 2 for part in parts]
    shares = np.mean([x / x.sum(axis=1, keepdims=True) for x in powers], axis=0)
    size = np.linalg.norm(network.readout, axis=1)
    size = size * np.linalg.norm(network.first, axis=1) ** 2
    mean: Floats = size @ shares / size.sum()
    return mean


def agreement(predictions: Floats) -> Floats:
    """[n (n - 1) / 2] share of examples on which each pair of n networks agrees.

    predictions: [n, m] classes.
    """
    one, other = np.triu_indices(len(predictions), 1)
    same: Floats = np.mean(predictions[one] == predictions[other], axis=1)
    return same


class Classes(NamedTuple):
    """seen: distinct classes; once: those seen once; chao: how many there are at least,
    by Chao1 (Chao, Scand. J. Stat. 11 (1984) 265): seen + f1 (f1 - 1) / (2 (f2 + 1)),
    f1 and f2 the numbers of classes seen once and twice."""

    seen: int
    once: int
    chao: float


def classes(found: Sequence[Hashable]) -> Classes:
    """Of what each draw turned out to be."""
    counts = list(Counter(found).values())
    once, twice = counts.count(1), counts.count(2)
    return Classes(
        len(counts), once, len(counts) + once * (once - 1) / (2 * (twice + 1))
    )
