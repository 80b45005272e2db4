"""Axes become sides of a unit cube, and places on them values that can be trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from grokmap.analysis.uncertain_edges import (
    CUT,
    DIFFER,
    FEW,
    UNEXPLORED,
    near,
)
from grokmap.analysis.unit_cube import Cube, Side, are_new
from grokmap.spec.axis import Axis

LOG = Side(Axis("weight_decay", (1e-4, 1e-2, 1.0), "log"))
LINEAR = Side(Axis("train_fraction", (0.3, 0.6, 0.9), "linear"))
SIZE = Side(Axis("width", (32, 64, 1024), "integer"))
CHOICE = Side(Axis("optimizer", ("adamw", "gd", "muon"), "choice"))
CUBE = Cube((LOG, LINEAR, SIZE, CHOICE))


def test_places_are_in_logs_where_the_axis_is() -> None:
    assert LOG.unit([1e-4, 1e-3, 1.0]) == pytest.approx([0, 0.25, 1])
    assert LINEAR.unit([0.3, 0.45, 0.9]) == pytest.approx([0, 0.25, 1])
    assert SIZE.unit([32, 64]) == pytest.approx([0, 1 / 5])  # in logs
    assert Side(Axis("depth", (1, 2, 5), "integer")).unit([2]) == pytest.approx([1 / 4])
    assert CHOICE.unit(["adamw", "muon"]) == pytest.approx([0, 1])
    assert LOG.width == pytest.approx(4) and LINEAR.width == pytest.approx(0.6)
    with_zero = Side(Axis("weight_decay", (0.0, 1e-3, 1e-1), "log"))
    assert np.isnan(with_zero.unit([0.0])).all()
    assert with_zero.unit([1e-2]) == pytest.approx([0.5])


def test_values_are_round_numbers_or_the_sweeps_own() -> None:
    assert LOG.value(0.3) == float(f"{10 ** (-4 + 1.2):.6g}")
    assert LOG.value(0.0) == 1e-4 and LOG.value(1.0) == 1.0
    ends = Side(Axis("alpha", (0.0, 1 / 3), "linear"))
    assert ends.value(1.0) == 0.333333 <= 1 / 3
    assert SIZE.value(0.4) == 64 and SIZE.value(0.9) == 1024
    assert CHOICE.value(0.6) == "gd"


def test_candidates_fill_the_cube_and_are_what_they_become() -> None:
    places = CUBE.spread(512)
    assert (places >= 0).all() and (places <= 1).all()
    again = CUBE.points(CUBE.rows(places))
    np.testing.assert_allclose(again, places, atol=1e-12)
    counts = pd.Series(CUBE.rows(places)["width"]).value_counts()
    assert set(counts.index) == {32, 64, 1024} and counts.min() > 512 / 3.3
    # Every sixteenth of each real axis has its share.
    for i in (0, 1):
        found = np.histogram(places[:, i], 16, (0, 1))[0]
        assert found.min() >= 30 and found.max() <= 34  # by chance: 20 to 44
    np.testing.assert_array_equal(CUBE.spread(512), places)
    more = CUBE.spread(512, skip=512)
    assert are_new(more, places).mean() > 0.9


def test_grids_have_even_places_and_all_own_values() -> None:
    grid = CUBE.grid((3, 2, 9, 9))
    assert len(grid) == 3 * 2 * 3 * 3
    rows = CUBE.rows(grid)
    assert set(rows["width"]) == {32, 64, 1024} and set(rows["train_fraction"]) == {
        0.3,
        0.9,
    }
    assert CUBE.categorical == (3,) and CUBE.compiled == (2, 3)


def test_what_was_made_is_not_new() -> None:
    places = np.array([[0.1, 0.2], [0.3, 0.4], [0.3, 0.4]])
    assert are_new(places, places[:1]).tolist() == [False, True, False]


def test_why_an_edge_is_not_known() -> None:
    along = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    here, none = np.zeros((6, 1)), np.zeros(6, bool)
    assert near(along, here, none, none, (0.05, 0.7)) == (6, 0, FEW)
    assert near(along, here, none, none, (0.15, 0.35)) == (2, 0, FEW)
    one, two = along < 0.15, along < 0.25
    assert near(along, here, one, none, (0.05, 0.7)).why == FEW
    assert near(along, here, two, none, (0.05, 0.7)).why == DIFFER
    # Of runs that were cut short nothing is said that they could contradict.
    assert near(along, here, two, two, (0.05, 0.7)) == (6, 2, FEW)
    assert near(along, here, none, along < 0.35, (0.05, 0.7)) == (6, 3, CUT)
    assert near(along, here + 0.5, none, none, (0.05, 0.7)) == (0, 0, UNEXPLORED)
