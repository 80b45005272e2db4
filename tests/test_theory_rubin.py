"""First-order transitions of arXiv 2310.03789."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.theory import rubin
from grokmap.theory.rubin import Teacher

FIRST_ORDER = Teacher(0.5, -0.3, 0.5)
SECOND_ORDER = Teacher(1.0, -0.3, 0.5)


@pytest.mark.parametrize("gamma", [1e-4, 0.03, 1.0])
def test_modular_transition_is_the_closed_form(gamma: float) -> None:
    solved = rubin.modular_transition(gamma)
    assert solved == pytest.approx(rubin.modular_transition_formula(gamma), rel=1e-5)
    # On either side of it the one well, then the other, is deeper than (0, 0).
    assert rubin.modular_well(0.99 * solved, gamma)[1] > 0
    assert rubin.modular_well(1.01 * solved, gamma)[1] < 0


def test_modular_well_is_stationary_and_symmetric() -> None:
    g, gamma = 1.3, 0.9
    (phi, psi), depth = rubin.modular_well(g, gamma)
    assert phi == pytest.approx(psi, rel=1e-5)
    assert phi == pytest.approx((g + np.sqrt(g**2 - gamma)) / gamma, rel=1e-5)
    assert depth == pytest.approx(rubin.modular_action(phi, phi, g, gamma))
    around = [
        rubin.modular_action(phi + a, psi + b, g, gamma)
        for a in (-0.01, 0, 0.01) for b in (-0.01, 0, 0.01)
    ]  # fmt: skip
    assert min(around) == around[4]


def test_no_modular_well_without_coupling() -> None:
    where, depth = rubin.modular_well(0.5, 1.0)
    np.testing.assert_allclose(where, 0, atol=1e-6)
    assert depth == pytest.approx(0, abs=1e-6)


def test_noise_and_coupling_are_one_another() -> None:
    variance, p, width, a = 0.002 / 1000, 401, 1000, -0.8
    noise = rubin.modular_noise(0.02, a, p, width, variance)
    u = 2 * variance * p**2 / (width * noise**2)
    assert u * a**2 == pytest.approx(0.02)


def test_wells_of_the_teacher_are_as_deep_at_the_transition() -> None:
    u, phi = rubin.teacher_transition(FIRST_ORDER)
    where, depth = rubin.teacher_well(u, FIRST_ORDER)
    assert depth == pytest.approx(0, abs=1e-9)
    assert where == pytest.approx(phi, rel=1e-3) and phi > 0.1
    assert rubin.teacher_well(1.01 * u, FIRST_ORDER)[1] < -1e-4
    # Of first order: before the curvature at 0 turns.
    assert u < 0.999 * rubin.teacher_spinodal(FIRST_ORDER)


def test_no_barrier_where_the_linear_part_is_large() -> None:
    u, phi = rubin.teacher_transition(SECOND_ORDER)
    assert phi == 0
    assert u == pytest.approx(rubin.teacher_spinodal(SECOND_ORDER))


@pytest.mark.parametrize("teacher", [FIRST_ORDER, SECOND_ORDER])
def test_curvature_turns_at_the_spinodal(teacher: Teacher) -> None:
    spinodal, h = rubin.teacher_spinodal(teacher), 1e-3
    before, after = (
        rubin.teacher_action(h, share * spinodal, teacher) for share in (0.99, 1.01)
    )
    assert before > 0 > after


def test_no_cubic_part_no_first_order() -> None:
    # Only a cubic part of the other sign than b bends the action down at finite phi.
    for c in (0.0, 0.3):
        assert rubin.teacher_transition(Teacher(0.5, c, 0.5))[1] == 0
