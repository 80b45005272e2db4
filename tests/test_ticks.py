"""Ticks, colours and arrows of diagrams, and the boundary of cells off a grid."""

import pandas as pd
import pytest

from grokmap.plot.cells import Cells, boundary, with_edges
from grokmap.plot.edges import arrow_places
from grokmap.plot.norms import norm_of
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


def row(y: float, edges: list[float], p_grok: list[float]) -> pd.DataFrame:
    """A row of cells between edges; censored where P(grok) is None."""
    table = pd.DataFrame({"x_low": edges[:-1], "x_high": edges[1:], "p_grok": p_grok})
    censored = table["p_grok"].isna().astype(float)
    return table.assign(censored=censored, y_low=y, y_high=y + 1).fillna(0.0)


def test_no_piece_of_a_boundary_floats_between_rows() -> None:
    no = float("nan")
    below = row(0.0, [0, 1, 2, 4], [1.0, no, 0.0])
    above = row(1.0, [0, 1.5, 3, 4], [1.0, 1.0, no])
    # The cell at the right below and that in the middle above share from 2 to 3.
    assert boundary(pd.concat([below, above])) == []
    decided = row(1.0, [0, 1.5, 3, 4], [1.0, 1.0, 0.0])
    assert boundary(pd.concat([below, decided])) == [
        ((3.0, 1.0), (3.0, 2.0)),
        ((2.0, 1.0), (3.0, 1.0)),
    ]
    whole = row(1.0, [0, 1, 2, 4], [no, no, 1.0])
    assert boundary(pd.concat([below, whole])) == [((2.0, 1.0), (4.0, 1.0))]


def test_rows_that_reach_the_ends_of_an_axis_share_them() -> None:
    rows = {0.0: [1.0, 10.0, 100.0], 1.0: [1.0, 10.0, 80.0, 100.0], 2.0: [10.0, 20.0]}
    places = [(x, y) for y, values in rows.items() for x in values]
    table = with_edges(pd.DataFrame(places, columns=["x", "y"]), "x", True, by="y")
    low, high = table.groupby("y")["x_low"].min(), table.groupby("y")["x_high"].max()
    assert low.tolist() == pytest.approx([10**-0.5, 10**-0.5, 10 / 2**0.5])
    assert high.tolist() == pytest.approx([10**2.5, 10**2.5, 20 * 2**0.5])


@pytest.mark.parametrize(
    ("values", "log", "limits"),
    [
        ([4.0], True, (4 / 2**0.5, 4 * 2**0.5)),
        ([3.17, 3.49], True, (2.3519, 4.7039)),
        ([2.0, 10.0, float("nan")], True, (2.0, 10.0)),
        ([3.1, 3.2, 3.3], True, (3.1, 3.3)),
        ([0.3], False, (0.0, 0.3)),
        ([-1.0, -1.1], False, (-1.1, 0.0)),
        ([0.0], False, (0.0, 1.0)),
    ],
)
def test_colours_of_one_or_two_values_span_a_factor(
    values: list[float], log: bool, limits: tuple[float, float]
) -> None:
    norm = norm_of(pd.Series(values), log)
    assert (norm.vmin, norm.vmax) == pytest.approx(limits, rel=1e-4)


def test_arrows_stand_apart_from_other_marks_of_their_row() -> None:
    table = pd.concat(
        row(y, [1e-3, 1e-2, 1e-1, 1.0], [1.0, 1.0, 0.0]).assign(y=y + 0.5)
        for y in (0.0, 1.0, 2.0)
    )
    no = float("nan")
    edges = pd.DataFrame(
        [
            (0.5, no, no, 0.03),  # back to back
            (0.5, no, 0.03, no),
            (1.5, no, no, 0.03),  # on an interval
            (1.5, 0.1, 0.02, 0.2),
            (2.5, no, no, 0.003),  # apart from it
            (2.5, 0.1, 0.05, 0.2),
        ],
        columns=["y", "estimate", "low", "high"],
    )
    cells = Cells(table, x_log=True, y_log=False)
    assert arrow_places(edges, cells, "high") == [
        (0.03, 0.75),
        (0.03, 1.75),
        (0.003, 2.5),
    ]
    assert arrow_places(edges, cells, "low") == [(0.03, 0.25)]
