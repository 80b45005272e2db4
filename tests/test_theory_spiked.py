"""Planted spikes in Gaussian matrices: the edge, the outliers, and where they stand."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.theory import spiked

SHAPES = [(60, 160), (160, 60), (100, 100)]
SIGMA, DRAWS = 0.7, 10


def orthonormal(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(size, count)))[0]


def planted(
    shape: tuple[int, int], beta: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A matrix of noise with spikes, and their left and right directions."""
    rng = np.random.default_rng(seed)
    left, right = (orthonormal(rng, size, len(beta)) for size in shape)
    return SIGMA * rng.normal(size=shape) + (left * beta) @ right.T, left, right


@pytest.mark.parametrize("shape", SHAPES)
def test_spikes_stand_where_the_formula_says(shape: tuple[int, int]) -> None:
    beta = spiked.threshold(shape, SIGMA) * np.array([4.0, 3.0, 2.0])
    expected = spiked.position(beta, shape, SIGMA)
    overlaps = spiked.overlaps(beta, shape, SIGMA)
    tops, lefts, rights = [], [], []
    for seed in range(DRAWS):
        matrix, left, right = planted(shape, beta, seed)
        u, values, v = np.linalg.svd(matrix, full_matrices=False)
        tops.append(values[:3])
        lefts.append(np.sum(u[:, :3] * left, axis=0) ** 2)
        rights.append(np.sum(v[:3].T * right, axis=0) ** 2)
    for found, said in zip((tops, lefts, rights), (expected, *overlaps), strict=True):
        errors = np.std(found, axis=0, ddof=1) / DRAWS**0.5
        assert (np.abs(np.mean(found, axis=0) - said) < 5 * errors).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("times", "seen"), [([], 0), ([0.7], 0), ([2.0], 1), ([4, 3, 2, 0.5], 3)]
)
def test_as_many_outliers_as_spikes_above_the_threshold(
    shape: tuple[int, int], times: list[float], seen: int
) -> None:
    beta = spiked.threshold(shape, SIGMA) * np.array(times)
    for seed in range(3):
        matrix, *_ = planted(shape, beta, seed)
        values = np.linalg.svd(matrix, compute_uv=False)
        sigma = spiked.noise_level(values, shape)
        assert sigma == pytest.approx(SIGMA, rel=0.05)
        assert np.sum(values**2 > sigma**2 * spiked.largest_power(shape)) == seen


def test_square_matrices_of_small_entries_are_the_surveys_formula() -> None:
    # Entries of variance sigma^2 / n: beta > sigma stands at beta + sigma^2 / beta.
    n, sigma, beta = 50, 0.6, np.array([0.3, 0.6, 1.0, 3.0])
    found = spiked.position(beta, (n, n), sigma / n**0.5)
    seen = np.maximum(beta, sigma)
    np.testing.assert_allclose(found, seen + sigma**2 / seen, rtol=1e-12)
    assert spiked.threshold((n, n), sigma / n**0.5) == pytest.approx(sigma)


@pytest.mark.parametrize("shape", SHAPES)
def test_strength_inverts_position(shape: tuple[int, int]) -> None:
    beta = spiked.threshold(shape, SIGMA) * np.array([1.01, 2.0, 10.0])
    found = spiked.strength(spiked.position(beta, shape, SIGMA), shape, SIGMA)
    np.testing.assert_allclose(found, beta, rtol=1e-6)
    low, high = spiked.bulk(shape, SIGMA)
    inside = [0.99 * high, 0.5 * (low + high)]
    assert np.isnan(spiked.strength(inside, shape, SIGMA)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_density_is_that_of_noise(shape: tuple[int, int]) -> None:
    x = np.linspace(*spiked.bulk(shape, SIGMA), 4001)
    y = spiked.density(x, shape, SIGMA)
    assert np.sum((y[1:] + y[:-1]) / 2 * np.diff(x)) == pytest.approx(1, abs=2e-3)
    values = np.linalg.svd(planted(shape, np.array([]), 0)[0], compute_uv=False)
    second = np.sum(x**2 * y) * (x[1] - x[0])
    assert second == pytest.approx(np.mean(values**2), rel=0.02)
    assert spiked.density([1.01 * x[-1]], shape, SIGMA) == 0


def test_what_is_left_of_the_start_and_what_was_added() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(60, 160))
    added = np.outer(rng.normal(size=60), rng.normal(size=160))
    beta = 2.5 * spiked.threshold(start.shape, 0.5) / np.linalg.norm(added)
    share, rest = spiked.split(0.5 * start + beta * added, start)
    assert share == pytest.approx(0.5, abs=0.02)
    assert np.vdot(rest, start) == pytest.approx(0, abs=1e-8)
    top, threshold = spiked.predicted_top(0.5 * start + beta * added, start)
    assert top == pytest.approx(np.linalg.norm(0.5 * start + beta * added, 2), rel=0.03)
    assert threshold == pytest.approx(spiked.threshold(start.shape, 0.5), rel=0.05)
