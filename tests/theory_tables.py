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
    both = runs.merge(said[[*keys, "said_phase", "said_t_grok"]], on=keys)
    rows = []
    for alpha, own in both.groupby("alpha"):
        same = own[own["seed"] == SEED]
        alike = (same["phase"] == same["said_phase"]).sum()
        laziness = own["width"].iloc[0] ** alpha
        rows.append([
            f"{alpha:g}",
            f"{laziness:.2f}",
            f"{alike} of {len(same)}",
            _ratios(same),
            _ratios(own[own["seed"] != SEED]),
        ])  # fmt: skip
    head = ["alpha", "K", "cells of the same label", "t_grok over the limit's"]
    return markdown([*head, "the same, of other splits"], rows)


def _ratios(runs: pd.DataFrame) -> str:
    """Median and range over runs that grok where the limit does."""
    ratio = (runs["t_grok"].astype(float) / runs["said_t_grok"].astype(float)).dropna()
    low, high = ratio.min(), ratio.max()
    return f"{ratio.median():.2f} ({low:.2f} to {high:.2f}; {len(ratio)} runs)"


THEORY_TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("docs/theory.md", "mean-field plane"): mean_field_plane,
}
