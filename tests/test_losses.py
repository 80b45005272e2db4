from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokmap.losses import LOSSES


def test_losses_of_a_silent_network() -> None:
    logits, label = jnp.zeros((3, 7)), jnp.array([0, 3, 6])
    known = {"mse": 1.0, "cross_entropy": np.log(7), "stablemax": np.log(7)}
    assert set(known) == set(LOSSES) - {"logistic"}
    for name, value in known.items():
        np.testing.assert_allclose(LOSSES[name](logits, label), value, rtol=1e-6)


def test_mse_sums_over_classes() -> None:
    value = LOSSES["mse"](jnp.array([[0.5, 2.0]]), jnp.array([1]))
    assert float(value[0]) == pytest.approx(0.25 + 1.0)


def test_cross_entropy_matches_float64() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 4)) * 5
    label = np.array([0, 1, 2, 3, 0])
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(5), label]
    value = LOSSES["cross_entropy"](jnp.asarray(logits, jnp.float32), label)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_cross_entropy_collapses_at_the_known_margin() -> None:
    # Two classes in float32: 24 ln 2 = 16.64 (Prieto et al., arXiv 2501.04697), from
    # then on loss and gradient of the correct class are exactly 0.
    def loss(margin: float) -> jax.Array:
        logits = jnp.array([[margin, 0.0]], jnp.float32)
        return LOSSES["cross_entropy"](logits, jnp.array([0]))[0]

    collapse = 24 * np.log(2)
    assert float(loss(collapse - 0.1)) > 0
    assert float(loss(collapse + 0.1)) == 0


def test_mse_of_real_targets() -> None:
    target = jnp.array([[1.0, -2.0], [0.5, 0.0]])
    value = LOSSES["mse"](jnp.array([[0.0, 1.0], [0.5, 0.0]]), target)
    np.testing.assert_allclose(value, [10.0, 0.0])


def test_stablemax_matches_its_formula_and_never_loses_its_gradient() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 4)) * 5
    label = np.array([0, 1, 2, 3, 0])
    s = np.where(logits >= 0, logits + 1, 1 / (1 - logits))
    expected = -np.log(s[np.arange(5), label] / s.sum(axis=1))
    value = LOSSES["stablemax"](jnp.asarray(logits, jnp.float32), label)
    np.testing.assert_allclose(value, expected, rtol=1e-5)

    def loss(margin: jax.Array) -> jax.Array:
        logits = jnp.stack([margin, jnp.float32(0.0)])[None]
        return LOSSES["stablemax"](logits, jnp.array([0]))[0]

    # Where cross-entropy is exactly 0 (test above): -1 / (m + 1) / (m + 2).
    slope = float(jax.grad(loss)(jnp.float32(40.0)))
    assert slope == pytest.approx(-1 / 41 / 42, rel=1e-3)
    # Where 1 - p rounds to 0: odds (1 + m)^-2 of logits m and -m.

    def far(margin: jax.Array) -> jax.Array:
        logits = jnp.stack([margin, -margin])[None]
        return LOSSES["stablemax"](logits, jnp.array([0]))[0]

    value, slope = jax.value_and_grad(far)(jnp.float32(1e5))
    assert float(value) == pytest.approx(1e-10, rel=1e-3)
    assert float(slope) == pytest.approx(-2e-15, rel=1e-3)


def test_logistic_loss() -> None:
    outputs, target = (
        jnp.array([[0.0], [3.0], [-3.0]]),
        jnp.array([[1.0], [1.0], [1.0]]),
    )
    expected = np.log1p(np.exp([0.0, -3.0, 3.0]))
    np.testing.assert_allclose(LOSSES["logistic"](outputs, target), expected, rtol=1e-6)
