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
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from grokmap.plot.cells import Cells, Plane, gather, leaves_gaps, with_edges
from grokmap.plot.diagram import (
    BAR,
    SMALLEST,
    Layout,
    Shading,
    draw_phases,
    label_grid,
    panel_height,
    scale,
)
from grokmap.plot.entries import NOT_RUN, entries
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    length,
    say_nothing,
    shortened,
    wrapped,
)
from grokmap.plot.names import axis_label
from grokmap.plot.style import PAPER, Look, Phases, points, size_of, styled
from grokmap.plot.ticks import label_bar, label_linear, most_below, number

COLOURS = "PRGn_r"  # told apart by every common colour vision, white in the middle
NOTHING = "#D0D0D0"  # of cells without a value: apart from that white
LEAST = 1.25  # the ratio at which the colours end, at least
LARGEST = 6.0  # size of a letter in a cell, in points
UNDECIDED, HATCH = "#888888", "\\\\\\\\"  # the other way than in the planes
EDGES = ["x", "y", "x_low", "x_high", "y_low", "y_high"]
NEAR = (1.5, 1.2)  # the ratio that is marked where all are within a factor of 2


class ComparedRow(NamedTuple):
    """The runs of both at one place on the other axes.

    cells: x, y of the matched cells, value (b over a, or b less a; NaN: none), letter
    ("A", "B": the one that alone has a value; "": neither, or both), open: undecided.
    """

    title: str
    a: pd.DataFrame
    b: pd.DataFrame
    cells: pd.DataFrame


class Sides(NamedTuple):
    """What is compared: names of both, and of what the letters mean.

    only: what one alone does; none: what a cell without a value is.
    """

    a: str
    b: str
    only: str = "groks"
    none: str = "neither groks"


class Place(NamedTuple):
    """A row as it is drawn: cells of a, of b, and of the change, with their edges."""

    a: Cells
    b: Cells
    change: pd.DataFrame

    @property
    def every(self) -> Cells:
        """All cells, of which panels have their limits."""
        tables = [self.a.table, self.b.table, self.change]
        return self.a._replace(table=pd.concat(tables, ignore_index=True))


def comparison_maps(
    rows: Sequence[ComparedRow],
    plane: Plane,
    phases: Phases,
    change: Shading,
    sides: Sides,
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """Phases of a, phases of b, and the change of a quantity from a to b.

    Three panels a row; where there is no room, the changes stand below.

    Args:
      change: the quantity; log: its ratio, else its difference.
      caption: what is fixed in it.
    """
    values = pd.concat([row.cells for row in rows])["value"]
    layout = _layout(len(rows), look)
    with styled(look):
        norm = _norm(values, change.log)
        figure = blank(look, _height(layout))
        grid: Any = figure.subplots(
            layout.rows, layout.columns, squeeze=False, sharex=True, sharey=True
        )
        places = [_place(row, plane, phases) for row in rows]
        every = _union(places)
        panels = _panels(grid, len(rows))
        for axes, place in zip(panels, places, strict=True):
            draw_phases(axes[0], place.a, phases)
            draw_phases(axes[1], place.b, phases)
            _draw_changes(axes[2], place.change, norm, sides.none, layout)
            for one in axes:
                scale(one, every, layout.ems)
        runs = pd.concat([part for row in rows for part in (row.a, row.b)])
        labels = [axis_label(name, runs) for name in plane[:2]]
        label_grid(grid, 3 * len(rows), labels, panel_height(layout))
        _entitle(figure, panels, rows, sides, layout)
        if np.isfinite(values.to_numpy(float)).any():
            below = [axes[2] for axes in panels]
            _bar(figure, below, norm, change, layout)
        legend_above(figure, look, _entries(places, every, phases, sides))
        return finished(figure, look, caption)


def _layout(n_rows: int, look: Look) -> Layout:
    beside = 3 * SMALLEST + BAR <= look.ems
    columns = 3 if beside else 2
    ems = (look.ems - (BAR if beside else 0.0)) / columns
    return Layout(-(-3 * n_rows // columns), columns, beside, ems)


def _height(layout: Layout) -> float:
    """Of the figure, in letters."""
    bands = layout.rows * (panel_height(layout) + 5.0)
    return bands + (6.0 if layout.beside else 10.0)


def _panels(grid: Any, n_rows: int) -> list[list[Any]]:
    """[row][a, b, change] of a grid of three columns, or of two with the changes below
    those of all rows."""
    if grid.shape[1] == 3:
        return [list(axes) for axes in grid]
    changes = grid[n_rows:].ravel()
    return [[*grid[i], changes[i]] for i in range(n_rows)]


def _norm(values: pd.Series, log: bool) -> Normalize:
    """As far below as above no change, which is white."""
    known = values[np.isfinite(values) & ((values > 0) | (not log))].to_numpy(float)
    if log:
        most = max(float(np.exp(np.abs(np.log(known)).max(initial=0.0))), LEAST)
        return LogNorm(1 / most, most, clip=True)
    most = float(np.abs(known).max(initial=0.0)) or 1.0
    return Normalize(-most, most, clip=True)


def _place(row: ComparedRow, plane: Plane, phases: Phases) -> Place:
    a, b = (
        gather(runs.assign(none=0.0), plane, "none", phases.grokked)
        for runs in (row.a, row.b)
    )
    return Place(a, b, _changed(row.cells, a.table, plane))


def _changed(cells: pd.DataFrame, own: pd.DataFrame, plane: Plane) -> pd.DataFrame:
    """Matched cells with the edges that they have in the plane of a."""
    apart = with_edges(cells, "x", plane.x_log, None)
    apart = with_edges(apart, "y", plane.y_log, None).reset_index(drop=True)
    there = cells.merge(own[EDGES], on=["x", "y"], how="left")
    return there.fillna(apart[EDGES])


def _union(places: Sequence[Place]) -> Cells:
    """The cells of all panels, which share their limits."""
    tables = [place.every.table for place in places]
    return places[0].a._replace(table=pd.concat(tables, ignore_index=True))


def _draw_changes(
    axes: Any, cells: pd.DataFrame, norm: Normalize, none: str, layout: Layout
) -> None:
    """Colours where both have a value; a letter where one alone does; grey, neither."""
    known = np.isfinite(cells["value"].to_numpy(float))
    alone = (cells["letter"] != "").to_numpy() & ~known
    unknown = _boxes(cells[~known & ~alone])
    axes.add_collection(PatchCollection(unknown, facecolors=NOTHING, linewidths=0))
    colours = mpl.colormaps[COLOURS](norm(cells["value"][known].to_numpy(float)))
    boxes = _boxes(cells[known])
    axes.add_collection(PatchCollection(boxes, facecolors=colours, linewidths=0))
    hatched = _boxes(cells[cells["open"]])
    look: Any = {"facecolors": "none", "edgecolors": UNDECIDED, "linewidths": 0}
    axes.add_collection(PatchCollection(hatched, hatch=HATCH, **look))
    size = _letter_size(cells, layout)
    for cell in cells[alone].itertuples():
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.1 * size}
        place: Any = {"ha": "center", "va": "center", "fontsize": size, "bbox": box}
        axes.text(*_middle(cell), cell.letter, **place)
    if not (known | alone).any():
        say_nothing(axes, none, layout.ems - 5)


def _letter_size(cells: pd.DataFrame, layout: Layout) -> float:
    """In points: as large as the cells leave room for."""
    letter = size_of("font.size")
    wide = (layout.ems - 4) * letter / cells["x"].nunique()
    high = panel_height(layout) * letter / cells["y"].nunique()
    return min(points(LARGEST), 1.1 * wide, 0.8 * high)


def _boxes(cells: pd.DataFrame) -> list[Rectangle]:
    return [
        Rectangle((c.x_low, c.y_low), c.x_high - c.x_low, c.y_high - c.y_low)
        for c in cells.itertuples()
    ]


def _middle(cell: Any) -> tuple[float, float]:
    """Of a cell as it is drawn, on a log axis, too, where 0 has a place."""
    middle = []
    for axis in ("x", "y"):
        low, high = getattr(cell, f"{axis}_low"), getattr(cell, f"{axis}_high")
        value = getattr(cell, axis)
        is_zero = value == 0 and low > 0
        middle.append(float(np.sqrt(low * high)) if is_zero else float(value))
    return middle[0], middle[1]


def _entitle(
    figure: Figure,
    panels: Sequence[Sequence[Any]],
    rows: Sequence[ComparedRow],
    sides: Sides,
    layout: Layout,
) -> None:
    """What is compared, and below it where, in the order of the letters."""
    room = layout.ems - 4 - length("(a) A: ")
    a, b = (shortened(name, room) for name in (sides.a, sides.b))
    names = (f"A: {a}", f"B: {b}", "from A to B")
    titles = {
        id(place): f"{name}\n{row.title}".rstrip()
        for axes, row in zip(panels, rows, strict=True)
        for place, name in zip(axes, names, strict=True)
    }
    entitle(figure.axes, [titles[id(axes)] for axes in figure.axes], layout.ems - 3)


def _bar(
    figure: Figure,
    below: Sequence[Any],
    norm: Normalize,
    change: Shading,
    layout: Layout,
) -> None:
    place: Any = {"location": "right" if layout.beside else "bottom", "pad": 0.02}
    look: Any = {"shrink": 0.9, "aspect": 18 if layout.beside else 20}
    bar = figure.colorbar(ScalarMappable(norm, COLOURS), ax=below, **place, **look)
    high = panel_height(layout) if layout.beside else layout.ems
    bar.set_label(wrapped(change.label, 0.9 * high))
    bar.outline.set_linewidth(points(0.6))
    most = 4 if layout.beside else most_below(layout.ems - 4)
    if change.log:
        _label_ratios(bar, float(norm.vmax or 2.0), most)
    else:
        label_linear(bar.ax.yaxis if layout.beside else bar.ax.xaxis, most)


def _label_ratios(bar: Any, largest: float, most: int) -> None:
    """Round ratios; where these lie near 1, one above and its inverse."""
    label_bar(bar, 1 / largest, largest, most)
    if largest < 2:
        ratio = next(x for x in NEAR if x <= largest)
        ticks = [1 / ratio, 1.0, ratio]
        bar.set_ticks(ticks, labels=[number(x) for x in ticks])


def _entries(
    places: Sequence[Place], every: Cells, phases: Phases, sides: Sides
) -> list[Any]:
    """The entries of the legend: what is drawn, and nothing else."""
    shown = [cells for place in places for cells in (place.a, place.b)]
    handles = entries(shown, [], phases, sides.none)
    outline: Any = {"facecolor": "white", "edgecolor": "#808080"}
    outline |= {"linewidth": points(0.4)}
    said = {str(handle.get_label()) for handle in handles}
    log = every.x_log, every.y_log
    gaps = any(leaves_gaps(cells.table, log, every.table) for cells in shown)
    if gaps and NOT_RUN not in said:
        handles.append(Patch(**outline, label=NOT_RUN))
    if any(len(c.table) > len(p.change) for p in places for c in (p.a, p.b)):
        handles.append(Patch(**outline, label="change: not in both"))
    return handles + _change_entries(pd.concat([p.change for p in places]), sides)


def _change_entries(change: pd.DataFrame, sides: Sides) -> list[Any]:
    handles: list[Any] = []
    style: Any = {"linestyle": "none", "color": "black", "markeredgewidth": 0}
    for name in sorted(set(change["letter"]) - {""}):
        marker = rf"$\mathrm{{{name}}}$"
        words = f"{name} alone {sides.only}"
        size = points(LARGEST)
        handles.append(Line2D([], [], marker=marker, ms=size, label=words, **style))
    unknown = ~np.isfinite(change["value"].astype(float)) & (change["letter"] == "")
    if unknown.any():
        handles.append(Patch(facecolor=NOTHING, label=sides.none))
    if change["open"].any():
        look: Any = {"facecolor": "white", "edgecolor": UNDECIDED, "hatch": HATCH}
        words = "change: a run is undecided"
        handles.append(Patch(label=words, **look, linewidth=0))
    return handles
