"""Maps of what a few seeds leave open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Patch

from grokmap.plot.cells import Plane, gather, leaves_gaps
from grokmap.plot.diagram import (
    fill_unknown,
    hatch_censored,
    label_grid,
    scale,
    shade,
)
from grokmap.plot.entries import HATCH
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    say_nothing,
    wrapped,
)
from grokmap.plot.names import axis_label
from grokmap.plot.style import NO_VALUE, PAPER, Look, points, styled
from grokmap.plot.ticks import label_bar, most_below

COLUMNS = {
    "p_grok": "P(grok)",
    "spread": "width of its 95% interval",
    "t_grok": r"median $t_{\mathrm{grok}}$ (steps)",
    "changed": "share relabelled by other rules",
}


NONE = {
    "p_grok": "nothing is decided",
    "spread": "nothing is decided",
    "t_grok": "no run groks",
    "changed": "no run",
}


class Map(NamedTuple):
    """One row of maps: runs of one point of the other axes, and one row a cell."""

    title: str
    runs: pd.DataFrame
    cells: pd.DataFrame


SMALLEST = 14.0  # width of a map in letters


def uncertainty_maps(
    maps: Sequence[Map], plane: Plane, look: Look = PAPER, caption: str = ""
) -> Figure:
    """P(grok), its interval's width, Kaplan and Meier's median of t_grok, and the share
    of runs that other rules label otherwise.

    Args:
      maps: cells with x, y, p_grok, p_grok_low, p_grok_high, t_grok, changed.
    """
    columns = max(n for n in (1, 2, 4) if n <= look.columns(SMALLEST))
    ems = look.ems / columns
    bands = len(COLUMNS) // columns
    with styled(look):
        shape = (len(maps) * bands, columns)
        high = 0.75 * ems
        figure = blank(look, shape[0] * (high + (2.0 if bands == 1 else 6.0)) + 10.0)
        grid: Any = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
        norms = _norms([m.cells for m in maps])
        by_map = grid.reshape(len(maps), len(COLUMNS))
        for axes, row in zip(by_map, maps, strict=True):
            _draw_row(axes, row, plane, norms, ems)
        label_grid(
            grid, grid.size, [axis_label(k, maps[0].runs) for k in plane[:2]], high
        )
        entitle(grid.flat, [m.title for m in maps for _ in COLUMNS], ems - 3)
        # One bar above each column, or above each panel where columns are shared.
        for i, (name, label) in enumerate(COLUMNS.items()):
            panels = [by_map[:, i].tolist()] if bands == 1 else by_map[:, i]
            for below in panels:
                _bar(figure, below, norms[name], label, ems)
        legend_above(figure, look, _handles(maps, plane))
        return finished(figure, look, caption)


def _bar(figure: Figure, below: Any, norm: Normalize, label: str, ems: float) -> None:
    place: Any = {"location": "top", "shrink": 0.9, "aspect": 20}
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=below, **place)
    bar.set_label(wrapped(label, ems - 3.5), labelpad=points(4))
    bar.outline.set_linewidth(points(0.6))
    if isinstance(norm, LogNorm):
        most = most_below(ems - 4)
        label_bar(bar, norm.vmin or 1.0, norm.vmax or 10.0, most)
    else:
        bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"])


def _handles(maps: Sequence[Map], plane: Plane) -> list[Any]:
    handles: list[Any] = []
    look: Any = {"facecolor": "white", "edgecolor": "#888888", "hatch": HATCH}
    if any(m.runs["censored"].any() for m in maps):
        label = "half of the seeds or more are undecided (censored)"
        handles.append(Patch(label=label, **look))
    if any(m.cells[["p_grok", "t_grok"]].isna().any(axis=None) for m in maps):
        handles.append(Patch(facecolor=NO_VALUE, label="no value"))
    shown = [gather(m.runs.assign(none=np.nan), plane, "none", ()) for m in maps]
    if any(leaves_gaps(c.table, (c.x_log, c.y_log)) for c in shown):
        outline: Any = {"edgecolor": "#808080", "linewidth": points(0.4)}
        handles.append(Patch(facecolor="white", label="not run", **outline))
    return handles


def _norms(tables: Sequence[pd.DataFrame]) -> dict[str, Normalize]:
    times = pd.concat([table["t_grok"] for table in tables])
    times = times[np.isfinite(times) & (times > 0)]
    low, high = (times.min(), times.max()) if len(times) else (1, 10)
    unit = {name: Normalize(0, 1) for name in COLUMNS}
    return unit | {"t_grok": LogNorm(low, high if high > low else low * 1.1)}


def _draw_row(
    axes: Any, row: Map, plane: Plane, norms: dict[str, Normalize], ems: float
) -> None:
    # Of these only the edges of the cells and their censored shares are drawn.
    cells = gather(row.runs.assign(none=np.nan), plane, "none", ())
    values = row.cells.assign(spread=row.cells["p_grok_high"] - row.cells["p_grok_low"])
    values = values.rename(columns={plane.x: "x", plane.y: "y"})
    table = cells.table[["x", "y", "x_low", "x_high", "y_low", "y_high", "censored"]]
    table = table.merge(values, on=["x", "y"])
    for name, place in zip(COLUMNS, axes, strict=True):
        known = np.isfinite(table[name])
        fill_unknown(place, table[~known])
        shade(place, table[known], name, norms[name])
        if name != "changed":
            hatch_censored(place, table, "#BBBBBB")
        if not known.any():
            say_nothing(place, NONE[name])
        scale(place, cells, ems)
