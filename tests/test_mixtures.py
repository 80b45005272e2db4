"""The symmetric mixture finds what was planted."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.analysis.mixtures import symmetric_mixture


def planted(share: float, place: float, n: int = 6000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    there = rng.random(n) < share
    signs = rng.choice([-1, 1], n)
    return np.where(there, signs * rng.normal(place, 0.12, n), rng.normal(0, 0.2, n))


@pytest.mark.parametrize("share, place", [(0.02, 1.0), (0.3, 0.9), (0.9, 1.2)])
def test_planted_shares_and_places_are_found(share: float, place: float) -> None:
    found = symmetric_mixture(planted(share, place))
    # Three standard errors of 6,000 values, and as much as the components overlap.
    error = 3 * np.sqrt(share * (1 - share) / 6000) + 1e-3
    parts = (1 - share, share)
    narrow, wide = (3 / np.sqrt(2 * 6000 * part) + 0.01 for part in parts)
    assert found.share == pytest.approx(share, abs=error)
    assert found.place == pytest.approx(place, abs=0.02)
    assert found.narrow == pytest.approx(0.2, rel=narrow)
    assert found.wide == pytest.approx(0.12, rel=wide)
    assert found.apart and found.gain > 0.01


def test_one_gaussian_has_nothing_apart() -> None:
    found = symmetric_mixture(np.random.default_rng(1).normal(0, 0.3, 5000))
    assert not found.apart
    # Three more parameters gain 3/2 on average, in all.
    assert found.gain < 5 / 5000


def test_weights_count_values_as_often() -> None:
    values = planted(0.2, 1.0, 2000)
    often = np.random.default_rng(2).integers(1, 4, 2000)
    repeated = symmetric_mixture(np.repeat(values, often))
    weighted = symmetric_mixture(values, often.astype(float))
    assert weighted[:5] == pytest.approx(repeated[:5], abs=1e-5)


def test_a_histogram_will_do() -> None:
    values = np.abs(planted(0.1, 1.0))
    counts, edges = np.histogram(values, np.linspace(0, 2, 41))
    binned = symmetric_mixture((edges[1:] + edges[:-1]) / 2, counts.astype(float))
    assert binned.share == pytest.approx(symmetric_mixture(values).share, abs=0.005)
    assert binned.apart


def test_signs_do_not_matter() -> None:
    values = planted(0.2, 1.0, 2000)
    assert symmetric_mixture(-np.abs(values)) == symmetric_mixture(values)
