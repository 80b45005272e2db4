"""What the generated tables share: stored results, markdown, numbers."""

from __future__ import annotations

import math
from collections.abc import Collection

import pandas as pd
from conftest import ROOT

from grokmap import store

Stored = tuple[pd.DataFrame, pd.DataFrame]


def stored(name: str) -> Stored:
    """(runs, trajectories) of a committed result."""
    path = ROOT / "results" / name
    trajectories, unreadable = store.read_trajectories(path)
    assert unreadable == []
    return pd.read_parquet(path / store.RUNS), trajectories


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float) -> str:
    if math.isnan(value):
        return "-"
    if abs(value) >= 1e4:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def spread(values: Collection[float]) -> str:
    if not len(values):
        return "undefined"
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"
