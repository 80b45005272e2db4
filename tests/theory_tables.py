"""Tables of what a theory said of committed results beside what they did."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from conftest import ROOT
from table_format import markdown

from grokmap import store

PLANE = ROOT / "results/mean-field-plane"
SEED = 0  # whose split the limit is of


def mean_field_plane() -> str:
    """Labels and times of the cells against those of the limit, row by row."""
    said = pd.read_csv(PLANE / "figures/phase-diagram-mean-field.csv")
    said = said.rename(columns=lambda name: name.replace("mean-field", "said"))
    runs = pd.read_parquet(PLANE / store.RUNS)
    keys = ["alpha", "weight_decay"]
    # The file has fewer digits than the runs.
    runs[keys], said[keys] = runs[keys].round(9), said[keys].round(9)
    names = ["said_phase", "said_t_mem", "said_t_grok"]
    both = runs.merge(said[[*keys, *names]], on=keys)
    rows = []
    for alpha, own in both.groupby("alpha"):
        same = own[own["seed"] == SEED]
        alike = (same["phase"] == same["said_phase"]).sum()
        laziness = own["width"].iloc[0] ** alpha
        rows.append([
            f"{alpha:g}",
            f"{laziness:.2f}",
            f"{alike} of {len(same)}",
            _ratios(same, "t_grok"),
            _ratios(own[own["seed"] != SEED], "t_grok"),
            _ratios(same, "t_mem"),
        ])  # fmt: skip
    head = ["alpha", "K", "cells of the same label", "t_grok over the limit's"]
    last = ["the same, of other splits", "t_mem over the limit's"]
    return markdown([*head, *last], rows)


def _ratios(runs: pd.DataFrame, time: str) -> str:
    """Median and range over runs that have this time where the limit has it."""
    ratio = (runs[time].astype(float) / runs[f"said_{time}"].astype(float)).dropna()
    low, high = ratio.min(), ratio.max()
    return f"{ratio.median():.2f} ({low:.2f} to {high:.2f}; {len(ratio)} runs)"


THEORY_TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("docs/theory.md", "mean-field plane"): mean_field_plane,
}
