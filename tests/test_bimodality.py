from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from grokmap.analysis.statistics import binder_cumulant, dip, dip_p_value, mode_gap


def nearest_unimodal(values: np.ndarray) -> float:
    """The dip from its definition: for each mode, a linear programme."""
    x, each = np.unique(values, return_counts=True)
    n, k = len(values), len(x)
    after = np.cumsum(each) / n
    before = after - each / n
    return min(_distance(x, before, after, mode, k) for mode in range(k))


def _distance(
    x: np.ndarray, before: np.ndarray, after: np.ndarray, mode: int, k: int
) -> float:
    """Unknowns: F at x, at the mode from the left and from the right; the distance."""
    at = np.append(x[: mode + 1], x[mode:])
    place = np.append(np.arange(mode + 1), np.arange(mode, k))
    rows, limits = [], []

    def below(limit: float, **coefficients: float) -> None:
        row = np.zeros(k + 2)
        for name, value in coefficients.items():
            row[int(name[1:])] += value
        rows.append(row)
        limits.append(limit)

    far = f"_{k + 1}"
    for i in range(k + 1):
        if i != mode + 1:
            below(before[place[i]], **{f"_{i}": 1, far: -1})
        if i != mode:
            below(-after[place[i]], **{f"_{i}": -1, far: -1})
    for i in range(k):
        below(0, **{f"_{i}": 1, f"_{i + 1}": -1})
    for i in (*range(1, mode), *range(mode + 2, k)):
        sign = 1 if i < mode else -1  # convex, then concave
        one, two = sign / (at[i] - at[i - 1]), sign / (at[i + 1] - at[i])
        below(0, **{f"_{i}": one + two, f"_{i - 1}": -one, f"_{i + 1}": -two})
    cost = np.zeros(k + 2)
    cost[-1] = 1
    found = linprog(cost, A_ub=np.array(rows), b_ub=limits, bounds=[(0, 1)] * (k + 2))
    return float(found.fun)


@pytest.mark.parametrize("seed", range(12))
def test_dip_is_the_distance_from_the_nearest_unimodal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=9) + 3 * rng.integers(0, 2, 9)
    values = np.round(2 * values) if seed % 3 == 0 else values  # ties
    assert dip(values) == pytest.approx(nearest_unimodal(values), abs=1e-6)


def test_dips_in_closed_form() -> None:
    assert dip(np.arange(20.0)) == pytest.approx(1 / 40)
    assert dip(np.ones(5)) == pytest.approx(1 / 10)
    # Two atoms: the smaller one is off the mode, by half its share at best.
    assert dip(np.repeat([0.0, 1.0], [10, 10])) == pytest.approx(1 / 4)
    assert dip(np.repeat([0.0, 1.0], [17, 3])) == pytest.approx(3 / 40)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=25), st.integers(1, 9))
def test_dip_does_not_depend_on_order_units_or_direction(
    numbers: list[int], scale: int
) -> None:
    values = np.array(numbers, float)
    one = dip(values)
    assert 1 / (2 * len(values)) - 1e-12 <= one <= 1 / 4 + 1 / (2 * len(values))
    for other in (values[::-1], 3 - scale * values, scale * values + 7):
        assert dip(other) == pytest.approx(one, abs=1e-9)


def test_two_modes_are_found_and_one_is_not() -> None:
    rng = np.random.default_rng(3)
    two = [dip_p_value(rng.normal(size=20) + np.repeat([0, 8], 10)) for _ in range(40)]
    assert np.mean(np.array(two) < 0.05) > 0.9
    # At the nominal rate for uniforms, below it for other single modes.
    shapes = {
        "uniform": lambda: rng.random(20),
        "normal": lambda: rng.normal(size=20),
        "skew": lambda: rng.exponential(size=20),
        "ceiling": lambda: np.minimum(1, rng.normal(1, 0.3, 20)),
    }
    for name, draw in shapes.items():
        share = np.mean([dip_p_value(draw()) < 0.05 for _ in range(400)])
        assert share < 0.08, name
        assert share > 0.02 or name != "uniform"
    assert np.isnan(dip_p_value(np.arange(3.0)))


def test_mode_gap_in_closed_form() -> None:
    values = np.array([[0.0, 0.0, 3.0, 3.0], [1.0, 5.0, 1.0, 1.0], [2.0] * 4])
    np.testing.assert_allclose(mode_gap(values), [3, 4, 0])
    normal = np.random.default_rng(0).normal(size=20_000)
    assert mode_gap(normal) == pytest.approx(2 * np.sqrt(2 / np.pi), rel=0.02)
    assert np.isnan(mode_gap(np.array([1.0])))


def test_binder_cumulant_in_closed_form() -> None:
    assert binder_cumulant(np.array([2.0, -2.0])) == pytest.approx(2 / 3)
    for share in (0.1, 0.25, 0.5):
        mixed = np.repeat([0.0, 7.0], [round(20 * (1 - share)), round(20 * share)])
        assert binder_cumulant(mixed) == pytest.approx(1 - 1 / (3 * share))
    normal = np.random.default_rng(0).normal(size=100_000)
    assert binder_cumulant(normal) == pytest.approx(0, abs=0.02)
    assert np.isnan(binder_cumulant(np.zeros(3)))
