"""Linear teacher and student, arXiv 2310.16441."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.theory import levi

LEVEL = levi.loss_at_accuracy(0.95, 1e-3)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 2.5])
def test_moments_of_the_spectrum(ratio: float) -> None:
    # Marchenko-Pastur: E nu^k = 1, 1 + r, 1 + 3 r + r^2 for k = 1, 2, 3.
    nu, weight = levi.marchenko_pastur(ratio)
    found = [weight @ nu**k for k in range(4)]
    np.testing.assert_allclose(
        found, [1, 1, 1 + ratio, 1 + 3 * ratio + ratio**2], rtol=1e-12
    )


def test_inverse_moments_of_the_spectrum() -> None:
    nu, weight = levi.marchenko_pastur(0.3)
    assert weight @ (1 / nu) == pytest.approx(1 / 0.7, rel=1e-12)
    assert weight @ (1 / nu**2) == pytest.approx(1 / 0.7**3, rel=1e-12)


def test_no_directions_no_spectrum() -> None:
    with pytest.raises(ValueError, match="above 0"):
        levi.marchenko_pastur(0.0)


def test_train_loss_is_the_slope_of_the_test_loss() -> None:
    # dL_gen/dt = -4 eta L_train under gradient flow.
    rate, time, h = 0.01, 300.0, 1e-3
    above, below = (levi.test_loss(0.4, rate, time + s) for s in (h, -h))
    slope = (above - below) / (2 * h)
    assert slope == pytest.approx(-4 * rate * levi.train_loss(0.4, rate, time), 1e-6)


def test_loss_at_95_percent() -> None:
    assert levi.loss_at_accuracy(0.95, 1e-3) == pytest.approx(1e-3 / 3.84, rel=1e-3)


def test_half_the_parameters_of_inputs_never_generalise() -> None:
    assert levi.test_loss(2.0, 0.01, 1e9) == pytest.approx(0.5, rel=1e-12)
    assert levi.test_loss_floor(2.0) == 0.5
    assert levi.crossing_times(2.0, 0.01, LEVEL)[1] == np.inf


def test_the_late_delay_is_reached_slowly() -> None:
    late = levi.late_delay(0.3, 0.01)
    share = []
    for level in (1e-12, 1e-30, 1e-90):
        train, test = levi.crossing_times(0.3, 0.01, level)
        share.append((test - train) / late)
    assert share == sorted(share)
    assert share[1] == pytest.approx(0.96, abs=0.01)
    assert share[2] == pytest.approx(1, abs=0.02)
    with pytest.raises(ValueError, match="ratio in"):
        levi.late_delay(1.0, 0.01)


def test_decay_leaves_a_floor() -> None:
    at_rest = levi.decayed_test_loss(0.3, 0.01, 1e-4, 1e7)
    assert at_rest == pytest.approx(1e-8 / (4 * 0.7**3), rel=1e-3)
    assert levi.decayed_test_loss(0.3, 0.01, 1e-4, 0.0) == pytest.approx(1)


def test_decay_as_gradient_descent_has_it() -> None:
    # All unit teachers at once, so that only the inputs fluctuate.
    x = np.random.default_rng(3).standard_normal((600, 180))
    sigma, teacher = x.T @ x / 600, np.eye(180)
    student, rate, decay = 0 * teacher, 1e-2, 0.2
    for _ in range(200):
        student -= rate * (2 * sigma @ (student - teacher) + decay * student)
    loss = np.sum((student - teacher) ** 2) / 180
    assert loss == pytest.approx(levi.decayed_test_loss(0.3, rate, decay, 200), 0.03)


def test_gradient_descent_has_the_same_curves() -> None:
    # Drawn inputs: the averages fluctuate by about 1/d.
    rate, at = 0.05, np.array([0, 10, 50, 100])
    runs = [levi.simulate(300, 0.4, rate, at, seed) for seed in range(4)]
    train, test = np.mean(runs, axis=0)
    for found, loss in ((train, levi.train_loss), (test, levi.test_loss)):
        exact = [loss(0.4, rate, float(t), discrete=True) for t in at]
        np.testing.assert_allclose(found, exact, rtol=0.15)


def test_simulation_is_gradient_descent() -> None:
    train, test = levi.simulate(5, 0.5, 0.1, [3], seed=2)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((10, 5))
    error = rng.standard_normal(5)
    for _ in range(3):
        error -= 0.1 * 2 / 10 * x.T @ (x @ error)
    assert test[0] == pytest.approx(error @ error / 5)
    assert train[0] == pytest.approx(np.mean((x @ error) ** 2) / 5)
