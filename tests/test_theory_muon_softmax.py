"""Newton-Schulz and softmax collapse as the libraries compute them."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.theory import muon, softmax

SHAPES = [(48, 120), (120, 48), (64, 64)]


@pytest.mark.parametrize("shape", SHAPES)
def test_optax_maps_singular_values_by_the_polynomial(shape: tuple[int, int]) -> None:
    values = muon.spectrum(min(shape), 0.005)
    found = muon.optax_singular_values(muon.matrix_with(values, shape, seed=1) * 7.0)
    expected = np.sort(muon.newton_schulz(values))[::-1]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_spectrum_and_matrix() -> None:
    values = muon.spectrum(20, 0.01)
    assert values.min() == pytest.approx(0.01)
    matrix = muon.matrix_with(values, (30, 20), seed=0)
    assert np.linalg.norm(matrix) == pytest.approx(1)
    found = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(found, values[::-1], rtol=1e-9)
    with pytest.raises(ValueError, match="exceed"):
        muon.spectrum(100, 0.1)


def test_bounds_hold_and_small_values_escape_them() -> None:
    low, high = muon.bounds(0.005)
    image = muon.newton_schulz(np.random.default_rng(0).uniform(0.005, 1, 100_000))
    assert low <= image.min() and image.max() <= high
    assert muon.newton_schulz(np.array([1e-4]))[0] < low
    # The image is far from 1, and both ends are reached.
    assert low < 0.69 and high > 1.15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_collapses_at_the_bits_of_the_significand(dtype: str) -> None:
    def loss(margin: float) -> float:
        return softmax.numpy_loss(margin, dtype)

    found = softmax.vanishing_margin(loss)
    assert found == pytest.approx(softmax.collapse_margin(dtype), abs=1e-5)
    assert loss(found + 0.01) == 0 < loss(found - 0.01)


def test_own_loss_collapses_with_it() -> None:
    found = softmax.vanishing_margin(softmax.own_loss)
    assert found == pytest.approx(24 * np.log(2), abs=1e-5)
    assert softmax.own_loss(3.0) == pytest.approx(np.log1p(np.exp(-3.0)), rel=1e-5)


def test_a_loss_that_does_not_vanish() -> None:
    with pytest.raises(ValueError, match="vanish"):
        softmax.vanishing_margin(lambda margin: np.exp(-margin))
