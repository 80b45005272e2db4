"""Counting solutions: planted networks of known frequencies and answers."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.analysis.solutions import Layers
from grokmap.reproduce import solutions
from grokmap.reproduce.solutions import MODULUS as P
from grokmap.reproduce.solutions import Found


def adding(frequencies: tuple[int, ...], seed: int) -> Layers:
    """Waves of these frequencies, 12 neurons each."""
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 2 * np.pi, (len(frequencies) * 12, 3, 1))
    k = np.repeat(frequencies, 12)[:, None, None]
    a, u, v = np.moveaxis(np.cos(2 * np.pi * k * np.arange(P) / P + phases), 1, 0)
    return Layers(a, np.concatenate([u, v], axis=1))


def found(networks: list[Layers], test: float, predictions: np.ndarray) -> Found:
    n = len(networks)
    accuracy = np.tile([1.0, test], (n, 1))
    return Found(networks, accuracy, predictions, np.zeros(n))


@pytest.mark.parametrize(
    ("sets", "holds", "single"),
    [
        ([(k,) for k in (1, 2, 3, 4, 5)] * 4, True, True),
        ([(1, 2, 3, 4, 5)] * 20, False, False),
    ],
)
def test_generalising_solutions_are_counted_by_frequency(
    sets: list[tuple[int, ...]], holds: bool, single: bool
) -> None:
    networks = [adding(own, seed) for seed, own in enumerate(sets)]
    assert [solutions.used(network) for network in networks] == sets
    own = found(networks, 1.0, np.zeros((20, 3), int))
    assert solutions._generalising(own).holds == holds
    assert solutions._frequencies(own).holds == single
    # Those that do not generalise are not counted.
    none = solutions._generalising(found(networks, 0.9, np.zeros((20, 3), int)))
    assert "among 0" in none.spread and not none.holds


def test_memorising_solutions_are_counted_by_their_answers() -> None:
    rng = np.random.default_rng(0)
    networks = [adding((1,), seed) for seed in range(64)]
    answers = rng.integers(0, P, (P**2, 30))
    few = found(networks, 0.0, answers[rng.integers(0, P**2, 64)])
    assert solutions._memorising(few).holds
    many = found(networks, 0.0, rng.integers(0, P, (64, 30)))
    assert not solutions._memorising(many).holds
    # Two that know nothing of each other agree by chance.
    assert solutions._agreement("memorising", many).holds
    same = found(networks, 1.0, np.tile(answers[0], (64, 1)))
    assert solutions._agreement("generalising", same).holds
    assert not solutions._agreement("memorising", same).holds


def test_overlaps_above_chance_are_told() -> None:
    rng = np.random.default_rng(0)
    random = [
        Layers(rng.standard_normal((24, P)), rng.standard_normal((24, 2 * P)))
        for _ in range(24)
    ]
    alike = [adding((1, 2), seed) for seed in range(24)]
    null = solutions.pairs_of(random)
    assert not solutions._overlap("", random[::-1], null).holds
    assert solutions._overlap("", alike, null).holds
