"""Ticks of log axes, and the boundary of cells off a grid."""

import pandas as pd
import pytest

from grokmap.plot.cells import boundary
from grokmap.plot.ticks import numbers, round_values


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (64, 95, [70, 80, 90]),
        (250, 7000, [500, 1000, 2000, 5000]),
        (0.9, 110, [1, 10, 100]),
        (1e-4, 1, [1e-4, 1e-2, 1]),
        (41, 49, [41, 49]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, ticks: list[float]) -> None:
    assert round_values(low, high) == pytest.approx(ticks)


def test_an_axis_has_one_form_of_number() -> None:
    assert numbers([500, 1000, 20000]) == ["500", "1000", "20000"]
    assert numbers([1e-4, 1]) == ["$10^{-4}$", "$10^{0}$"]


def test_edges_of_rows_off_a_grid_are_joined() -> None:
    rows = [(0.0, 0.0, 1.0), (1.0, 0.5, 2.5)]  # y, and the x of two cells
    cells = pd.DataFrame(
        [
            {"x": x, "y": y, "x_low": x - half, "x_high": x + half, "p_grok": p}
            for y, left, right in rows
            for half in [(right - left) / 2]
            for x, p in ((left, 1.0), (right, 0.0))
        ]
    ).assign(censored=0.0, y_low=lambda t: t["y"] - 0.5, y_high=lambda t: t["y"] + 0.5)
    assert boundary(cells) == [
        ((0.5, -0.5), (0.5, 0.5)),
        ((1.5, 0.5), (1.5, 1.5)),
        ((0.5, 0.5), (1.5, 0.5)),
    ]
