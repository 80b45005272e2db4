from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grokmap.analysis import transition_order as order
from grokmap.analysis.transition_order import (
    CONTINUOUS,
    FIRST_ORDER,
    UNDECIDED,
    Evidence,
)

WIDTHS = (32, 64, 128, 256)
POINTS = np.linspace(0.3, 1.7, 15)
LINEAR = {"m": False}
Draw = Callable[[np.random.Generator, float, int, int], Any]


def sweep(draw: Draw, n_seeds: int = 20, seed: int = 0, **changes: Any) -> pd.DataFrame:
    """Runs whose final_m over the seeds of a cell is draw(rng, x, width, n_seeds)."""
    rng = np.random.default_rng(seed)
    widths, points = changes.get("widths", WIDTHS), changes.get("points", POINTS)
    parts = [
        pd.DataFrame({"width": n, "x": x, "final_m": draw(rng, x, n, n_seeds)})
        for n in widths
        for x in points
    ]
    return pd.concat(parts, ignore_index=True)


def first_order(rng: Any, x: float, width: int, n: int) -> Any:
    """Two phases, the share of the upper one falling through 1/2 at x = 1."""
    upper = rng.permutation(np.arange(n) < n / (1 + np.exp(8 * (x - 1))))
    return np.where(upper, 1.0, 0.0) + rng.normal(0, 0.5 / np.sqrt(width), n)


def continuous(rng: Any, x: float, width: int, n: int) -> Any:
    """One phase whose order parameter vanishes; critical fluctuations shrink."""
    near = np.exp(-(((x - 1) / 0.3) ** 2))
    spread = 0.6 * (width / 32) ** -0.5 * near + 0.02
    return np.clip(1.5 - x, 0.02, 1) + rng.uniform(-0.5, 0.5, n) * spread


def judge(runs: pd.DataFrame, quantities: dict[str, bool] = LINEAR) -> tuple[str, Any]:
    rows = order.evidence(order.cells(runs, "x", quantities), runs, "x", quantities)
    return order.verdict(rows)[0], {row.evidence: row for row in rows}


@pytest.mark.parametrize(
    ("draw", "expected"), [(first_order, FIRST_ORDER), (continuous, CONTINUOUS)]
)
def test_planted_transitions_get_their_verdict(draw: Draw, expected: str) -> None:
    for seed in range(3):
        found, rows = judge(sweep(draw, seed=seed))
        assert found == expected, rows
        two = FIRST_ORDER if expected == FIRST_ORDER else UNDECIDED
        assert rows["two modes"].supports == two
        assert rows["gap against width"].supports == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "wrong"), [(first_order, CONTINUOUS), (continuous, FIRST_ORDER)]
)
def test_planted_transitions_are_never_taken_for_the_other(
    draw: Draw, wrong: str
) -> None:
    found = [judge(sweep(draw, seed=seed))[0] for seed in range(40)]
    assert wrong not in found
    assert np.mean([one != UNDECIDED for one in found]) > 0.8


def test_the_exponent_of_a_planted_gap() -> None:
    _, rows = judge(sweep(continuous, n_seeds=60))
    assert "k = 0.4" in rows["gap against width"].why or "k = 0.5" in (
        rows["gap against width"].why
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"n_seeds": 5}, "5 seeds in a cell; at least 8"),
        ({"widths": (32, 64)}, "2 widths cross the boundary; at least 3"),
        ({"points": [0.3, 0.4, 1.6, 1.7]}, "no cell of width 32 is half-way"),
    ],
)
def test_scarce_data_decide_nothing(changes: dict[str, Any], why: str) -> None:
    found, rows = judge(sweep(first_order, **changes))
    assert found == UNDECIDED
    assert why in rows["seeds at the boundary"].why


def test_an_axis_that_ends_inside_the_transition_decides_nothing() -> None:
    # Its outermost cell is no plateau: half-way to it is a shoulder, of one mode.
    for points in (POINTS[POINTS < 1.05], POINTS[POINTS > 0.95]):
        found, rows = judge(sweep(first_order, points=points))
        assert found == UNDECIDED
        why = rows["seeds at the boundary"].why
        assert "the axis ends inside the transition of width 32" in why


def test_one_mode_decides_nothing() -> None:
    # Two phases three deviations apart, as wide as their distance: no dip between them.
    def close(rng: Any, x: float, width: int, n: int) -> Any:
        upper = rng.permutation(np.arange(n) < n / (1 + np.exp(8 * (x - 1))))
        return 3.0 * upper + rng.uniform(-1.7, 1.7, n)

    found, rows = judge(sweep(close, n_seeds=100))
    assert rows["two modes"].supports == UNDECIDED and found != CONTINUOUS
    assert "two modes 6 deviations apart would be seen in" in rows["two modes"].why


def test_two_boundaries_are_not_one() -> None:
    def there_and_back(rng: Any, x: float, width: int, n: int) -> Any:
        return abs(x - 1) + rng.normal(0, 0.01, n)

    found, rows = judge(sweep(there_and_back))
    assert found == UNDECIDED
    assert "more than once" in rows["seeds at the boundary"].why


def test_logarithms_have_no_binder_cumulant() -> None:
    def decades(rng: Any, x: float, width: int, n: int) -> Any:
        return 10 ** (6 * first_order(rng, x, width, n))

    runs = sweep(decades)
    found, rows = judge(runs, {"m": True})
    assert set(rows) == {"two modes", "gap against width"} and found == FIRST_ORDER
    assert order.cells(runs, "x", {"m": True})["binder"].isna().all()


def test_cells_are_of_their_runs() -> None:
    runs = sweep(first_order)
    runs.loc[runs.index[:3], "final_m"] = np.nan
    table = order.cells(runs, "x", LINEAR).set_index(["width", "x"])
    assert len(table) == len(WIDTHS) * len(POINTS)
    assert table["n"].iloc[0] == 17 and (table["n"].iloc[1:] == 20).all()
    own = runs[(runs["width"] == 64) & (runs["x"] == POINTS[3])]["final_m"]
    cell = table.loc[(64, POINTS[3])]
    assert cell["mean"] == pytest.approx(own.mean())
    assert cell["std"] == pytest.approx(own.std())
    assert cell["binder_low"] <= cell["binder"] <= cell["binder_high"]
    at = table[table["at_boundary"]].reset_index()
    assert at["width"].tolist() == list(WIDTHS) and np.allclose(at["x"], 1.0)
    assert order.falls(table.reset_index(), "x", "m")
    again = order.boundary_values(table.reset_index(), runs, "x", "m", False)
    assert {k: len(v) for k, v in again.items()} == dict.fromkeys(WIDTHS, 20)


def test_power_grows_with_the_seeds_and_the_distance_and_at_equal_shares() -> None:
    half = (0.5,) * 4
    many = order.dip_power((20,) * 4, half)
    assert order.dip_power((8,) * 4, half) < many and many > 0.9
    assert order.dip_power((20,) * 4, half, separation=4) < many
    assert order.dip_power((12,) * 4, (0.25,) * 4) < 0.5


TREND = {
    "weight_decay": 0.01,
    "ramp_factor": 10.0,
    "area": 1.5,
    "falls": 1.0,
    "one_sided": True,
}
TREND |= {"exponent": 0.0, "exponent_low": -0.1, "exponent_high": 0.05}
TREND |= {"offset": 0.2, "offset_low": 0.1, "offset_high": 0.3}


def test_a_loop_of_fluctuations_is_no_evidence() -> None:
    trend = TREND | {"limit": "stays", "returns": 1.0, "one_sided": False}
    row = order.loop_evidence(trend, "m")
    assert row.supports == UNDECIDED and "fluctuations about one curve" in row.why


@pytest.mark.parametrize(
    ("limit", "returns", "supports"),
    [
        ("closes", 1.0, UNDECIDED),  # a lag closes at either order
        ("stays", 1.0, FIRST_ORDER),
        ("stays", 0.0, UNDECIDED),  # absorbed: either order does that
        ("undecided", 1.0, UNDECIDED),
    ],
)
def test_loops_as_evidence(limit: str, returns: float, supports: str) -> None:
    row = order.loop_evidence(TREND | {"limit": limit, "returns": returns}, "m")
    assert row.supports == supports
    assert "b = 0.00 [-0.10, 0.05]" in row.why and "0.01 to 0.1" in row.why
    assert "offset 0.2 [0.1, 0.3]" in row.why


@pytest.mark.parametrize(
    ("supports", "expected", "said"),
    [
        ([FIRST_ORDER, FIRST_ORDER, UNDECIDED], FIRST_ORDER, "2 first order"),
        ([CONTINUOUS, CONTINUOUS], CONTINUOUS, "continuous transition"),
        ([FIRST_ORDER, CONTINUOUS, CONTINUOUS], UNDECIDED, "disagrees"),
        ([FIRST_ORDER, UNDECIDED], UNDECIDED, "'0' alone supports a first order"),
        ([UNDECIDED], UNDECIDED, "nothing found supports either"),
        ([], UNDECIDED, "nothing found"),
    ],
)
def test_the_verdict_is_allowed_to_be_undecided(
    supports: list[str], expected: str, said: str
) -> None:
    rows = [Evidence("m", str(i), kind, "") for i, kind in enumerate(supports)]
    found, sentence = order.verdict(rows)
    assert found == expected and said in sentence


def test_a_gap_between_two_modes_at_the_largest_width_has_not_closed() -> None:
    # Two modes at every width, whose distance shrinks as N^-0.2 of a step of 1.
    rng = np.random.default_rng(0)
    rows = []
    for width in (1, 2, 4):
        for x in np.arange(7):
            upper = rng.random(24) < [0, 0, 0.12, 0.5, 0.88, 1, 1][x]
            far = np.where(x in (2, 3, 4), width**-0.2, 1.0)
            value = upper * far + 0.01 * rng.standard_normal(24)
            rows += [{"width": width, "x": x, "final_m": v} for v in value]
    runs = pd.DataFrame(rows)
    found = order.evidence(
        order.cells(runs, "x", {"m": False}), runs, "x", {"m": False}
    )
    modes, gap, _ = found
    assert modes.supports == FIRST_ORDER
    assert gap.supports == UNDECIDED and "the largest width has two modes" in gap.why
