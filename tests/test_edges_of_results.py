"""Edges of the committed results, and what their figures show as tables."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from edge_tables import WITHIN, distance, labelled, precision

from grokmap.analysis import boundaries as wedge
from grokmap.classify import read_criteria
from grokmap.result import Result
from grokmap.result.boundaries import at_half_budget, summary

QUICKSTART = ROOT / "results/quickstart-reference"


def shifts(name: str, criteria: str) -> pd.DataFrame:
    full = wedge.boundaries(labelled(name, criteria))
    rules = read_criteria(criteria)
    half = wedge.boundaries(at_half_budget(Result(ROOT / "results" / name), rules))
    moved = wedge.shifts(full, half, log=True)
    return summary(moved, log=True).set_index("edge")


def test_a_budget_of_steps_makes_the_lower_edge_and_not_the_upper_one() -> None:
    moved = shifts("dense", WITHIN)
    assert 1.6 < moved.loc[wedge.MIN, "shift"] < 2.2
    assert 0.9 < moved.loc[wedge.MAX, "shift"] < 1.1
    assert moved["n_rows"].min() >= 10


def test_budgets_in_decay_times_make_no_edge() -> None:
    moved = shifts("quickstart-reference", "default")
    assert wedge.MIN not in moved.index  # a bound at either budget
    assert 0.8 < moved.loc[wedge.MAX, "shift"] < 1.3


@pytest.mark.parametrize("name, seeds", [("refined", 2), ("refined-one-seed", 1)])
def test_refinement_is_as_precise_with_a_fifth_of_the_runs(
    name: str, seeds: int
) -> None:
    dense = labelled("dense", WITHIN)
    dense, fine = dense[dense["seed"] < seeds], labelled(name, WITHIN)
    assert len(dense) == 24 * 24 * seeds and len(fine) <= len(dense) / 5
    one, other = wedge.boundaries(dense), wedge.boundaries(fine)
    assert precision(other).max() <= precision(one).median()
    # Within the intervals of both, between rows as well.
    off = distance(other, one)
    assert np.mean(off <= precision(one).max() + precision(other).max()) > 0.95
    both = [wedge.critical(runs).set_index("edge") for runs in (dense, fine)]
    (low, high), (own_low, own_high) = (
        t.loc[wedge.MAX, ["low", "high"]].astype(float) for t in both
    )
    assert max(low, own_low) < min(high, own_high)


@pytest.fixture
def quickstart(command_line: Any) -> Any:
    """Runs a command on a copy of the quickstart; gives its figure's table."""
    shutil.copytree(QUICKSTART, "copy")

    def table(command: str, *options: str) -> pd.DataFrame:
        code, out, _ = command_line(
            command, "copy", *options, "--format", "csv,parquet", "--out", "figure"
        )
        assert code == 0 and "figure.csv" in out
        # As text: how exactly pandas reads numbers differs between its versions.
        exported = pd.read_csv("figure.csv", dtype=str)
        whole = pd.read_parquet("figure.parquet")
        assert list(exported) == list(whole) and len(exported) == len(whole)
        for name in whole.select_dtypes("number"):
            # A CSV is read back as it was, to the last digit.
            read = exported[name].astype(float).to_numpy(whole[name].dtype)
            np.testing.assert_array_equal(whole[name].to_numpy(), read)
        return whole

    return table


def test_figures_export_what_they_show(quickstart: Any) -> None:
    runs = pd.read_parquet(QUICKSTART / "runs.parquet")
    cells = quickstart("phase-diagram").set_index(["alpha", "weight_decay"])
    grok = runs["phase"].eq("grok").groupby([runs["alpha"], runs["weight_decay"]])
    pd.testing.assert_series_equal(
        cells["p_grok"].sort_index(), grok.mean(), check_names=False
    )
    times = runs.groupby(["alpha", "weight_decay"])["delay_ratio"].median()
    pd.testing.assert_series_equal(
        cells["delay_ratio"].sort_index(), times, check_names=False
    )
    drawn = quickstart("curves", "--show", "rqi")
    assert drawn["run_id"].nunique() == 3 and drawn["rqi"].notna().sum() > 100
    moves = quickstart("order-parameters")
    at_end = moves[(moves["quantity"] == "test_accuracy") & (moves["time"] > 1.5)]
    assert (at_end["median"] > 0.95).all()
    assert (moves["q25"] <= moves["median"]).all()


def test_the_uncertainty_of_cells_is_exported(quickstart: Any) -> None:
    cells = quickstart("uncertainty")
    assert len(cells) == 70 and cells["n_runs"].eq(2).all()
    known = cells[cells["n_undecided"] < cells["n_runs"]]
    assert known["p_grok"].between(known["p_grok_low"], known["p_grok_high"]).all()
    assert cells["p_grok"].isna().sum() == len(cells) - len(known) > 0
    undecided = cells["n_undecided"] > 0
    assert undecided.any() and (cells.loc[undecided, "p_grok_high"] > 0.8).all()
    written = pd.read_parquet(Path("copy/uncertainty.parquet"))
    pd.testing.assert_frame_equal(cells, written)
