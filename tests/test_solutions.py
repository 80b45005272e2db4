"""How alike networks are: planted copies, independent ones, classes drawn at random."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.analysis import solutions
from grokmap.analysis.solutions import Layers

N, P = 12, 7


def network(seed: int, n: int = N, p: int = P) -> Layers:
    rng = np.random.default_rng(seed)
    return Layers(rng.standard_normal((n, p)), rng.standard_normal((n, 2 * p)))


def answers(own: Layers) -> np.ndarray:
    """[p, p, p] outputs on the table."""
    p = own.readout.shape[1]
    h = own.first[:, :p, None] + own.first[:, None, p:]
    return np.einsum("jab,jc->abc", h**2, own.readout)


def test_a_permuted_copy_overlaps_fully() -> None:
    own, rng = network(0), np.random.default_rng(1)
    order, signs = rng.permutation(N), rng.choice([-1.0, 1.0], (N, 1))
    size = np.exp(rng.standard_normal((N, 1)))  # shared otherwise between a and w
    copy = Layers(own.readout[order] / size**2, own.first[order] * signs * size)
    assert solutions.overlap(own, copy) == pytest.approx(1)
    assert solutions.overlap(own, Layers(-own.readout, own.first)) < 0.5


def test_independent_networks_overlap_as_chance_has_it() -> None:
    """Without matching the mean is 0; with it, below 1 by far and above 0."""
    pairs = [(network(2 * i, 64, 11), network(2 * i + 1, 64, 11)) for i in range(10)]
    plain = [np.trace(solutions.products(*pair)) for pair in pairs]
    size = np.trace(solutions.products(pairs[0][0], pairs[0][0]))
    assert abs(np.mean(plain)) / size < 0.02
    matched = [solutions.overlap(*pair) for pair in pairs]
    assert 0.02 < min(matched) and max(matched) < 0.2


def test_symmetries_of_addition_keep_the_sum() -> None:
    """A network that adds still adds once its tokens are called otherwise."""
    own = network(3)
    for factor, shifts in ((1, (2, 0)), (3, (0, 0)), (2, (4, 5))):
        other = solutions.moved(own, factor, shifts)
        a, b, c = np.indices((P, P, P))
        s, t = shifts
        new = (factor * a + s) % P, (factor * b + t) % P, (factor * c + s + t) % P
        np.testing.assert_allclose(answers(other)[new], answers(own))
    moved = solutions.moved(own, 3, (2, 5))
    assert solutions.overlap(own, moved) < 0.5
    assert solutions.overlap_up_to_symmetry(moved, own) == pytest.approx(1)


def test_shares_of_planted_frequencies() -> None:
    wave = {k: np.cos(2 * np.pi * k * np.arange(P) / P) for k in (1, 2, 3)}
    frequencies = [1, 1, 3]
    readout = np.array([wave[k] for k in frequencies])
    first = np.array([np.tile(wave[k], 2) for k in frequencies])
    first[2] *= 2**0.5  # carries twice as much as each of the others
    shares = solutions.frequency_shares(Layers(readout, first + 0.3))
    np.testing.assert_allclose(
        solutions.frequency_shares(Layers(readout, first)), [0.5, 0, 0.5], atol=1e-12
    )
    assert shares.sum() == pytest.approx(1) and shares[1] < 1e-12


def test_agreement_of_pairs() -> None:
    found = solutions.agreement(np.array([[0, 1, 2, 3], [0, 1, 0, 0], [1, 1, 0, 0]]))
    assert found.tolist() == [0.5, 0.25, 0.75]


def test_chao_counts_what_was_not_seen() -> None:
    assert solutions.classes(["a"] * 9) == (1, 0, 1)
    assert solutions.classes(list("aabbc")) == (3, 1, 3)
    # All unlike: n + n (n - 1) / 2 at least.
    assert solutions.classes(range(10)).chao == 55
    # Drawn from 200 equally likely ones.
    rng = np.random.default_rng(0)
    found = [solutions.classes(rng.integers(0, 200, 100).tolist()) for _ in range(200)]
    assert np.mean([f.chao for f in found]) == pytest.approx(200, rel=0.1)
    assert np.mean([f.seen for f in found]) < 90
