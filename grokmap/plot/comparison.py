"""Two phase diagrams side by side, and what changes from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Patch, Rectangle

from grokmap.plot.cells import Cells, Plane, gather, with_edges
from grokmap.plot.diagram import (
    Shading,
    axis_label,
    draw_phases,
    label_grid,
    scale,
    wrapped,
)
from grokmap.plot.figure import Figure
from grokmap.plot.style import Phases, styled
from grokmap.plot.ticks import label_bar

COLOURS = "PRGn_r"  # told apart by every common colour vision, white in the middle
NOTHING = "#DDDDDD"
LEAST = 1.25  # the ratio at which the colours end, at least
LARGEST = 5.5  # size of a letter in a cell


class ComparedRow(NamedTuple):
    """A row of panels: the runs of both at one place on the other axes.

    cells: x, y of the matched cells, value (b over a, or b less a; NaN: none), letter
    ("A", "B": the one that alone has a value; "": neither, or both), open: undecided.
    """

    title: str
    a: pd.DataFrame
    b: pd.DataFrame
    cells: pd.DataFrame


class Sides(NamedTuple):
    """What is compared: names of both, and of what the letters mean."""

    a: str
    b: str
    only: str = "groks"


def comparison_maps(
    rows: Sequence[ComparedRow],
    plane: Plane,
    phases: Phases,
    change: Shading,
    sides: Sides,
) -> Figure:
    """Phases of a, phases of b, and the change of a quantity from a to b.

    change: the quantity; log: its ratio, else its difference.
    """
    norm = _norm(pd.concat([row.cells for row in rows])["value"], change.log)
    with styled():
        size = (7.2, 2.25 * len(rows) + 0.75)
        figure = Figure(figsize=size, layout="constrained")
        shape = (len(rows), 3)
        grid = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
        runs = pd.concat([part for row in rows for part in (row.a, row.b)])
        for axes, row in zip(grid, rows, strict=True):
            _draw_row(axes, row, plane, phases, norm)
        label_grid(grid, 3 * len(rows), (axis_label(k, runs) for k in plane[:2]))
        _title(grid, rows, sides)
        bar = figure.colorbar(ScalarMappable(norm, COLOURS), ax=grid[:, 2], shrink=0.9)
        bar.set_label(change.label)
        if change.log:
            label_bar(bar, float(norm.vmin or 0.5), float(norm.vmax or 2.0))
        _legend(figure, runs, phases, pd.concat([r.cells for r in rows]), sides)
    return figure


def _norm(values: pd.Series, log: bool) -> Normalize:
    """As far below as above no change, which is white."""
    known = values[np.isfinite(values) & ((values > 0) | (not log))].to_numpy(float)
    if log:
        most = max(float(np.exp(np.abs(np.log(known)).max(initial=0.0))), LEAST)
        return LogNorm(1 / most, most, clip=True)
    most = float(np.abs(known).max(initial=0.0)) or 1.0
    return Normalize(-most, most, clip=True)


def _draw_row(
    axes: Any, row: ComparedRow, plane: Plane, phases: Phases, norm: Normalize
) -> None:
    drawn = []
    for place, runs in zip(axes[:2], (row.a, row.b), strict=True):
        cells = gather(runs.assign(none=np.nan), plane, "none", phases.grokked)
        draw_phases(place, cells, phases)
        drawn.append(cells.table)
    changes = with_edges(row.cells, "x", plane.x_log, None)
    changes = with_edges(changes, "y", plane.y_log, None)
    _draw_changes(axes[2], changes, norm)
    every = pd.concat([*drawn, changes], ignore_index=True)
    for place in axes:
        scale(place, Cells(every, plane.x_log, plane.y_log))


def _draw_changes(axes: Any, cells: pd.DataFrame, norm: Normalize) -> None:
    """Colours where both have a value; a letter where one alone does; grey, neither."""
    known = np.isfinite(cells["value"].to_numpy(float))
    colours = np.tile(mpl.colors.to_rgba(NOTHING), (len(cells), 1))
    colours[known] = mpl.colormaps[COLOURS](norm(cells["value"][known].to_numpy(float)))
    alone = (cells["letter"] != "").to_numpy()
    colours[alone & ~known] = mpl.colors.to_rgba("#FFFFFF")
    axes.add_collection(
        PatchCollection(_boxes(cells), facecolors=colours, linewidths=0)
    )
    hatched = _boxes(cells[cells["open"]])
    look: Any = {"facecolors": "none", "edgecolors": "#888888", "linewidths": 0}
    axes.add_collection(PatchCollection(hatched, hatch="////", **look))
    size = min(LARGEST, 90 / max(cells["x"].nunique(), 2 * cells["y"].nunique()))
    for cell in cells[alone & ~known].itertuples():
        place = {"ha": "center", "va": "center", "fontsize": size}
        middle = _middle(axes, cell)
        axes.text(*middle, cell.letter, **place)


def _boxes(cells: pd.DataFrame) -> list[Rectangle]:
    return [
        Rectangle((c.x_low, c.y_low), c.x_high - c.x_low, c.y_high - c.y_low)
        for c in cells.itertuples()
    ]


def _middle(axes: Any, cell: Any) -> tuple[float, float]:
    """Of a cell as it is drawn, on a log axis, too, where 0 has a place."""
    points = []
    for axis in ("x", "y"):
        low, high = getattr(cell, f"{axis}_low"), getattr(cell, f"{axis}_high")
        value = getattr(cell, axis)
        is_zero = value == 0 and low > 0
        points.append(float(np.sqrt(low * high)) if is_zero else float(value))
    return points[0], points[1]


def _title(grid: Any, rows: Sequence[ComparedRow], sides: Sides) -> None:
    names = (f"A: {sides.a}", f"B: {sides.b}", "from A to B")
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(wrapped(name), fontsize=7)
    for axes, row in zip(grid[:, 0], rows, strict=True):
        label = axes.get_ylabel()
        axes.set_ylabel(f"{wrapped(row.title)}\n{label}".lstrip())


def _legend(
    figure: Figure,
    runs: pd.DataFrame,
    phases: Phases,
    cells: pd.DataFrame,
    sides: Sides,
) -> None:
    present = set(runs["phase"])
    grey: Any = {"facecolor": "white", "edgecolor": "#333333", "linewidth": 0.5}
    handles = [
        Patch(facecolor=colour, label=name)
        for name, colour in phases.colours.items()
        if name in present
    ]
    if runs["censored"].any():
        handles.append(Patch(**grey, hatch="////", label="censored"))
    alone = set(cells["letter"]) - {""}
    if alone:
        letters = " or ".join(sorted(alone))
        handles.append(Patch(**grey, label=f"{letters}: it alone {sides.only}"))
    blank = ~np.isfinite(cells["value"].astype(float)) & (cells["letter"] == "")
    if blank.any():
        handles.append(Patch(facecolor=NOTHING, label="neither"))
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=6,
        frameon=False,
        fontsize=6.5,
        handlelength=1.2,
        columnspacing=0.8,
    )
