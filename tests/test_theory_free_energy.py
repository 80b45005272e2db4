"""States of a deep linear network, in closed form against minimisation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from grokmap.theory import free_energy as theory


def direct(start: float, s: float, decay: float, degree: int) -> tuple[float, float]:
    """(product, F) of the minimum over all weights, from equal ones."""

    def f(w: np.ndarray) -> float:
        return float((s - np.prod(w)) ** 2 + decay / 2 * np.sum(w**2))

    best = minimize(f, np.full(degree, start), tol=1e-12)
    return float(np.prod(best.x)), float(best.fun)


@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_the_learned_state_is_the_minimum_over_all_weights(
    degree: int, share: float
) -> None:
    s = 1.7
    decay = share * theory.end_of_learning(s, degree)
    u = theory.learned(s, decay, degree)
    product, f = direct(1.01 * u ** (1 / degree), s, decay, degree)
    assert product == pytest.approx(u, abs=1e-5)
    assert f == pytest.approx(theory.objective(u, s, decay, degree), abs=1e-9)


@pytest.mark.parametrize("degree", [2, 3])
def test_beyond_its_end_nothing_is_learned(degree: int) -> None:
    s = 0.8
    decay = 1.01 * theory.end_of_learning(s, degree)
    assert theory.learned(s, decay, degree) == 0
    product, f = direct(1.0, s, decay, degree)
    assert product == pytest.approx(0, abs=1e-6) and f == pytest.approx(s**2)


def test_three_factors_cross_before_they_end_and_two_do_not() -> None:
    s = 1.3
    dead = theory.objective(0.0, s, 1.0, 3)
    decay = theory.crossing(s, 3)
    u = theory.learned(s, decay, 3)
    assert u == pytest.approx(s / 2)
    assert theory.objective(u, s, decay, 3) == pytest.approx(dead) == s**2
    # Between the two edges the learned state is there, and is the higher one.
    ratio = theory.end_of_learning(s, 3) / decay
    assert ratio == pytest.approx(1.5 / 2 ** (1 / 3))
    between = 1.1 * decay
    assert theory.objective(theory.learned(s, between, 3), s, between, 3) > dead
    # A barrier: a little learned costs more than nothing learned, at any decay.
    assert theory.objective(1e-6, s, 0.1 * decay, 3) > dead
    # At two factors the states meet: no jump.
    near = theory.learned(s, 0.999 * theory.crossing(s, 2), 2)
    assert 0 < near < 2e-3 * s
    assert theory.objective(1e-6, s, 0.1, 2) < dead


def test_other_degrees_are_refused() -> None:
    with pytest.raises(ValueError, match="degree 4"):
        theory.crossing(1.0, 4)
