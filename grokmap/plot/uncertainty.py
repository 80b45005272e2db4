"""Maps of what a few seeds leave open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Patch

from grokmap.plot.cells import Plane, gather
from grokmap.plot.diagram import (
    axis_label,
    hatch_censored,
    scale,
    shade,
    wrapped,
)
from grokmap.plot.figure import Figure
from grokmap.plot.style import styled
from grokmap.plot.ticks import label_bar

COLUMNS = {
    "p_grok": "P(grok)",
    "spread": "width of its 95% interval",
    "t_grok": r"median $t_{\mathrm{grok}}$ (steps)",
    "changed": "share that other rules relabel",
}


class Map(NamedTuple):
    """One row of maps: runs of one point of the other axes, and one row a cell."""

    title: str
    runs: pd.DataFrame
    cells: pd.DataFrame


def uncertainty_maps(maps: Sequence[Map], plane: Plane) -> Figure:
    """P(grok), its interval's width, Kaplan and Meier's median of t_grok, and the share
    of runs that other rules label otherwise.

    Args:
      maps: cells with x, y, p_grok, p_grok_low, p_grok_high, t_grok, changed.
    """
    with styled():
        size = (2.35 * len(COLUMNS), 2.3 * len(maps) + 0.35)
        figure = Figure(figsize=size, layout="constrained")
        shape = (len(maps), len(COLUMNS))
        grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
        norms = _norms([m.cells for m in maps])
        for axes, row in zip(grid, maps, strict=True):
            _draw_row(axes, row, plane, norms)
            label = axis_label(plane.y, row.runs)
            axes[0].set_ylabel(f"{label}\n{wrapped(row.title)}".rstrip())
        for column, (name, label) in enumerate(COLUMNS.items()):
            grid[-1, column].set_xlabel(axis_label(plane.x, maps[0].runs))
            bar = figure.colorbar(
                ScalarMappable(norms[name], "viridis"),
                ax=grid[:, column],
                location="top",
                shrink=0.9,
            )
            bar.set_label(label, fontsize=7)
            bar.ax.tick_params(labelsize=6)
            if isinstance(norms[name], LogNorm):
                label_bar(bar, norms[name].vmin or 1.0, norms[name].vmax or 10.0)
        if any(m.runs["censored"].any() for m in maps):
            _hatch_legend(figure)
    return figure


def _hatch_legend(figure: Figure) -> None:
    label = "half of the seeds or more are censored"
    look: Any = {"facecolor": "white", "edgecolor": "#888888", "hatch": "////"}
    places: Any = {"loc": "outside lower center", "frameon": False}
    figure.legend(handles=[Patch(label=label, **look)], fontsize=7, **places)


def _norms(tables: Sequence[pd.DataFrame]) -> dict[str, Normalize]:
    times = pd.concat([table["t_grok"] for table in tables])
    times = times[np.isfinite(times) & (times > 0)]
    low, high = (times.min(), times.max()) if len(times) else (1, 10)
    unit = {name: Normalize(0, 1) for name in COLUMNS}
    return unit | {"t_grok": LogNorm(low, high if high > low else low * 1.1)}


def _draw_row(axes: Any, row: Map, plane: Plane, norms: dict[str, Normalize]) -> None:
    # Of these only the edges of the cells and their censored shares are drawn.
    cells = gather(row.runs.assign(none=np.nan), plane, "none", ())
    values = row.cells.assign(spread=row.cells["p_grok_high"] - row.cells["p_grok_low"])
    values = values.rename(columns={plane.x: "x", plane.y: "y"})
    table = cells.table[["x", "y", "x_low", "x_high", "y_low", "y_high", "censored"]]
    table = table.merge(values, on=["x", "y"])
    for name, place in zip(COLUMNS, axes, strict=True):
        place.set_facecolor("#EEEEEE")
        shade(place, table[np.isfinite(table[name])], name, norms[name])
        if name != "changed":
            hatch_censored(place, table, "#BBBBBB")
        scale(place, cells)
