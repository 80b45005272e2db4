"""Shares of runs that meet conditions, in the plane, beside the measured wedge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from grokmap.plot.cells import Plane, gather
from grokmap.plot.diagram import label_grid, scale, shade
from grokmap.plot.figure import Figure, blank, entitle, finished, legend_above
from grokmap.plot.names import axis_label
from grokmap.plot.style import PAPER, Look, points, styled

SMALLEST = 12.0  # width of a map in letters
EDGE = "#D55E00"
BAR = 4.0  # letters that the bar takes of a panel
SHARES = Normalize(0, 1)


def zone_maps(
    runs: pd.DataFrame,
    columns: Mapping[str, str],
    plane: Plane,
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """A map for each of the columns, over the outline of the cells that grok.

    runs: the plane's axes, phase, censored, and columns of bools, by title.
    """
    across = min(look.columns(SMALLEST), len(columns), 3)
    rows, ems = -(-len(columns) // across), look.ems / across
    with styled(look):
        high = 0.72 * ems
        figure = blank(look, rows * (high + 3.0) + 7.0)
        grid: Any = figure.subplots(rows, across, squeeze=False)
        for axes, name in zip(grid.flat, columns.values(), strict=False):
            cells = gather(runs.assign(met=runs[name].astype(float)), plane, "met", ())
            groks = gather(runs, plane, name, ("grok",)).table
            shares = runs.groupby([plane.x, plane.y])[name].mean()
            places = list(zip(cells.table["x"], cells.table["y"], strict=True))
            shade(
                axes,
                cells.table.assign(met=shares.loc[places].to_numpy()),
                "met",
                SHARES,
            )
            _outline(axes, groks)
            scale(axes, cells, ems - BAR)
        labels = [axis_label(k, runs) for k in plane[:2]]
        label_grid(grid, len(columns), labels, high)
        panels = list(grid.flat)[: len(columns)]
        entitle(panels, list(columns), ems - BAR - 3)
        _bar(figure, panels)
        edge = Line2D([], [], color=EDGE, linewidth=points(1.6))
        edge.set_label("half of the seeds grok")
        legend_above(figure, look, [edge])
        return finished(figure, look, caption)


def _bar(figure: Figure, panels: Sequence[Any]) -> None:
    place: Any = {"location": "right", "shrink": 0.7, "aspect": 30}
    bar = figure.colorbar(ScalarMappable(SHARES, "viridis"), ax=panels, **place)
    bar.set_label("share of seeds")
    bar.outline.set_linewidth(points(0.6))


def _outline(axes: Any, cells: pd.DataFrame) -> None:
    """All sides between cells on the two sides of P(grok) = 1/2, censored or not."""
    inside = cells[cells["p_grok"] >= 0.5]
    sides = pd.concat(
        [
            inside[["x_low", "y_low", "x_low", "y_high"]].set_axis([*"abcd"], axis=1),
            inside[["x_high", "y_low", "x_high", "y_high"]].set_axis([*"abcd"], axis=1),
            inside[["x_low", "y_low", "x_high", "y_low"]].set_axis([*"abcd"], axis=1),
            inside[["x_low", "y_high", "x_high", "y_high"]].set_axis([*"abcd"], axis=1),
        ]
    )
    alone = sides[~sides.duplicated(keep=False)].to_numpy(float)
    lines = np.asarray(alone).reshape(-1, 2, 2)
    axes.add_collection(LineCollection([*lines], colors=EDGE, linewidths=points(1.6)))
