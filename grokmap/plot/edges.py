"""Measured edges of the wedge in a diagram, and arrows to those that lie elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from grokmap.plot.cells import Cells
from grokmap.plot.entries import (
    BOUNDS,
    TheoryLine,
    bounds_of,
    edge_style,
    theory_style,
)
from grokmap.plot.style import points

NEAR = 0.06  # of the axis: an arrow so near to another mark of its row would lie on it
# Where such an arrow stands in its row, as a share of the row's height.
SHARES = {"high": 0.75, "low": 0.25}


def draw_edges(axes: Axes, edges: pd.DataFrame | None, cells: Cells, y: str) -> None:
    """Measured edges with their intervals; bounds as arrows to where the edge is."""
    if edges is None:
        return
    edges = edges.rename(columns={y: "y"})
    measured = edges.loc[edges["estimate"].notna(), ["estimate", "low", "high", "y"]]
    place, low, high, row = measured.to_numpy(float).T
    ends = np.array([place - low, high - place])
    style = edge_style()
    axes.errorbar(place, row, xerr=ends, fmt="o", ms=points(2.6), **style)
    style.pop("elinewidth")
    for end, marker in BOUNDS:
        places = arrow_places(edges, cells, end)
        if not places:  # a line of no points would still take room
            continue
        look: Any = {"linestyle": "none", "marker": marker, "ms": points(4.5)}
        axes.plot(*zip(*places, strict=True), **look, **style, clip_on=False)


def draw_theory(axes: Axes, lines: Sequence[TheoryLine]) -> None:
    """Lines of theories; a mark where one has a single place."""
    for line in lines:
        marker = "x" if len(line.x) == 1 else ""
        axes.plot(line.x, line.y, marker=marker, **theory_style(line))


def arrow_places(
    edges: pd.DataFrame, cells: Cells, end: str
) -> list[tuple[float, float]]:
    """Where the arrows of bounds from above ("high") or below ("low") stand.

    In the middle of a row; above or below it where they would lie on another arrow or
    on an interval of the row.

    Args:
      edges: of `analysis.boundaries.boundaries`, with the column y.
    """
    places = []
    for index, bound in bounds_of(edges, end).iterrows():
        others = edges[(edges["y"] == bound["y"]) & (edges.index != index)]
        x, y = float(bound[end]), float(bound["y"])
        if _is_crowded(x, others, cells):
            y = _in_row(y, cells, SHARES[end])
        places.append((x, y))
    return places


def _is_crowded(x: float, others: pd.DataFrame, cells: Cells) -> bool:
    """Whether a mark of the row lies at x, or nearly so."""
    marks = others[["estimate", "low", "high"]].astype(float).dropna(how="all")
    spans = [(row.min(), row.max()) for _, row in marks.iterrows()]
    ends = cells.table["x_low"].min(), cells.table["x_high"].max()
    if cells.x_log:
        with np.errstate(divide="ignore"):  # 0 stands left of all of them
            x, ends = np.log(x), (np.log(ends[0]), np.log(ends[1]))
            spans = [(np.log(low), np.log(high)) for low, high in spans]
    gap = NEAR * (ends[1] - ends[0])
    return any(low - gap <= x <= high + gap for low, high in spans)


def _in_row(y: float, cells: Cells, share: float) -> float:
    """A place in the row of cells at y, so high in it."""
    row = cells.table[cells.table["y"] == y].iloc[0]
    low, high = row["y_low"], row["y_high"]
    if cells.y_log:
        return float(low * (high / low) ** share)
    return float(low + share * (high - low))
