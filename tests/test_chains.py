"""Chain diagnostics on series whose correlation times are known."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.analysis import chains


def autoregressive(phi: float, shape: tuple[int, int], seed: int) -> np.ndarray:
    """x_t = phi x_(t-1) + noise, of variance 1 from the start: rho_t = phi^t."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=shape) * np.sqrt(1 - phi**2)
    x = np.empty(shape)
    x[:, 0] = rng.normal(size=shape[0])
    for t in range(1, shape[1]):
        x[:, t] = phi * x[:, t - 1] + noise[:, t]
    return x


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.9])
def test_the_correlation_time_of_an_autoregression(phi: float) -> None:
    tau = (1 + phi) / (1 - phi)
    found = chains.summary(autoregressive(phi, (8, 4000), seed=1))
    assert found.time == pytest.approx(tau, rel=0.1)
    assert found.effective == pytest.approx(8 * 4000 / tau, rel=0.1)
    assert found.r_hat < 1.01


def test_the_error_is_that_of_the_mean_over_repetitions() -> None:
    found = [chains.summary(autoregressive(0.8, (4, 400), s)) for s in range(60)]
    errors = np.array([one.error for one in found])
    means = np.array([one.mean for one in found])
    # The spread of 60 means is known to 9 %.
    assert np.mean(errors) == pytest.approx(means.std(), rel=0.2)
    assert np.mean(errors) == pytest.approx(np.sqrt(9 / 1600), rel=0.1)


def test_the_autocovariance_is_the_sum_that_defines_it() -> None:
    x = autoregressive(0.7, (2, 50), seed=3)
    centred = x[1] - x[1].mean()
    by_hand = [centred[: 50 - t] @ centred[t:] / 50 for t in range(50)]
    np.testing.assert_allclose(chains.autocovariance(x)[1], by_hand, atol=1e-12)


def test_chains_that_disagree_are_found() -> None:
    x = autoregressive(0.3, (4, 500), seed=2)
    apart, wider, drifting = x.copy(), x.copy(), x + np.linspace(-1.5, 1.5, 500)
    apart[0] += 1.5
    wider[0] *= 4
    for other in (apart, wider, drifting):
        assert chains.split_r_hat(other) > 1.05
    assert chains.split_r_hat(x) < chains.CONVERGED
    # Means apart are worth few draws, however long the chains are.
    assert chains.effective_size(apart) < 0.02 * chains.effective_size(x)


def test_what_is_constant_or_short_is_said_so() -> None:
    constant = chains.summary(np.ones((3, 20)))
    assert constant.error == 0 and constant.r_hat == 1 and constant.time == 1
    assert np.isinf(chains.split_r_hat(np.arange(3.0)[:, None] + np.zeros((3, 20))))
    short = chains.summary(np.arange(12.0).reshape(2, 6))
    assert short.mean == 5.5 and np.isnan([short.error, short.time, short.r_hat]).all()
