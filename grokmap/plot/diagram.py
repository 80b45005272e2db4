"""The phase diagram and, beside it, the map of t_grok / t_mem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.patches import Rectangle

from grokmap.arrays import Floats
from grokmap.plot.cells import Cells, Plane, boundary, gather
from grokmap.plot.edges import draw_edges, draw_theory
from grokmap.plot.entries import HATCH, RING, TheoryLine, entries, theory_entries
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    n_lines,
    say_nothing,
    wrapped,
)
from grokmap.plot.names import fitting_labels
from grokmap.plot.norms import norm_of
from grokmap.plot.style import NO_VALUE, PAPER, Look, Phases, points, styled
from grokmap.plot.ticks import (
    EVERY,
    label_bar,
    label_linear,
    label_log,
    label_swept,
    label_zero,
    most_below,
    number,
    round_values,
)


class Shading(NamedTuple):
    """The quantity that colours the map: a column of the runs, its label, its scale.

    none: what a cell without a value is.
    """

    column: str
    label: str
    log: bool
    none: str = "no value"


DELAY = Shading(
    "delay_ratio",
    r"$t_{\mathrm{grok}} / t_{\mathrm{mem}}$ (median over seeds)",
    True,
    "no run groks",
)


class PhasePanel(NamedTuple):
    """One of the small multiples.

    title: where its runs are on the axes that are not drawn. runs: classified, one row
    each. edges: `analysis.boundaries.boundaries` of them along x, drawn with their
    intervals; None: not known. lines: of theories, drawn over the phases.
    """

    title: str
    runs: pd.DataFrame
    edges: pd.DataFrame | None = None
    lines: tuple[TheoryLine, ...] = ()


SMALLEST = 13.0  # width of a panel in letters, with its labels
BESIDE = 20.0  # from which on the halves stand side by side
BAR = 6.0  # of the colour bar beside the panels
UPRIGHT = 0.8  # of the height of a panel, that a label beside it may have
TITLE = 2.5  # by how much a title is narrower than a panel with its labels


class Layout(NamedTuple):
    """A grid of panels for each half, side by side or one above the other.

    ems: width of a panel in letters.
    """

    rows: int
    columns: int
    beside: bool
    ems: float


def even(count: int, most: int) -> int:
    """Columns, at most so many, that leave the last row as full as the others."""
    rows = -(-count // min(count, most))
    return -(-count // rows)


def layout_of(n_panels: int, columns: int, look: Look) -> Layout:
    """So many columns as are wanted, or as there is room for.

    Halves of more than two rows, one above the other, are as wide as there is room for.
    """
    beside = 2 * columns * BESIDE + BAR <= look.ems
    most = look.columns(SMALLEST)
    if not beside and columns > most:
        columns = even(n_panels, most)
    elif not beside and n_panels > 2 * columns:
        columns = even(n_panels, columns * (most // columns))
    ems = (look.ems - BAR) / (2 * columns) if beside else look.ems / columns
    return Layout(-(-n_panels // columns), columns, beside, ems)


def phase_diagram(
    panels: Sequence[PhasePanel],
    plane: Plane,
    phases: Phases,
    shading: Shading = DELAY,
    columns: int = 1,
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """The phase diagram and, beside or below it, the map of t_grok / t_mem.

    Args:
      panels: small multiples, row by row, `columns` in each if there is room.
      shading: the quantity of the map, instead of t_grok / t_mem.
      caption: what is fixed in it.
    """
    runs = pd.concat([panel.runs for panel in panels])
    layout = layout_of(len(panels), columns, look)
    rooms = layout.ems - 3.0, UPRIGHT * panel_height(layout)
    labels, notes = fitting_labels(plane[:2], runs, rooms)
    titles = [panel.title for panel in panels] * 2
    with styled(look):
        figure = blank(look, _height(layout, titles))
        halves = _halves(figure, layout)
        shown = [gather(p.runs, plane, shading.column, phases.grokked) for p in panels]
        every = shown[0]._replace(table=pd.concat([cells.table for cells in shown]))
        norm = norm_of(every.table["shade"], shading.log)
        for half, is_map in zip(halves, (False, True), strict=True):
            for place, panel, cells in zip(half.flat, panels, shown, strict=False):
                if is_map:
                    _draw_shades(place, cells, norm, shading.none)
                else:
                    draw_phases(place, cells, phases)
                    draw_edges(place, panel.edges, cells, plane.y)
                    draw_theory(place, panel.lines)
                scale(place, every, layout.ems)
            label_grid(half, len(panels), labels, panel_height(layout))
        drawn = [half.flat[i] for half in halves for i in range(len(panels))]
        entitle(drawn, titles, layout.ems - TITLE)
        _shade_bar(figure, halves[1], norm, shading, every.table["shade"], layout)
        edges = [panel.edges for panel in panels if panel.edges is not None]
        handles = entries(shown, edges, phases, shading.none)
        handles += theory_entries([line for panel in panels for line in panel.lines])
        legend_above(figure, look, handles)
        return finished(figure, look, "; ".join(filter(None, [*notes, caption])))


def panel_height(layout: Layout) -> float:
    """In letters, without title and labels."""
    return height_of(layout.ems)


def height_of(ems: float) -> float:
    """Of a panel so many letters wide."""
    return float(np.clip(0.65 * ems, 9.0, 18.0))


def _height(layout: Layout, titles: Sequence[str]) -> float:
    """Of the figure, in letters."""
    lines = max(n_lines(title, layout.ems - TITLE) for title in titles)
    one = panel_height(layout) + 4.0 + 1.1 * (lines - 1)
    bands = layout.rows * (1 if layout.beside else 2)
    return bands * one + (5.0 if layout.beside else 9.0)


def _halves(figure: Figure, layout: Layout) -> tuple[Any, Any]:
    """[rows, columns] panels of the phases, and as many of the map."""
    rows, columns, beside, _ = layout
    shape = (rows, 2 * columns) if beside else (2 * rows, columns)
    grid: Any = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
    if beside:
        return grid[:, :columns], grid[:, columns:]
    return grid[:rows], grid[rows:]


def label_grid(
    axes: Any, n_panels: int, labels: Iterable[str], high: float = np.inf
) -> None:
    """Labels the outer sides of a grid of panels, of which the last row may be short.

    axes: [rows, columns]; labels: of x and of y; high: a panel, in letters.
    """
    x_label, y_label = labels
    columns = axes.shape[1]
    for i, place in enumerate(axes.flat):
        if i >= n_panels:
            place.remove()
            continue
        if i + columns >= n_panels:  # nothing below it
            place.set_xlabel(x_label)
            place.tick_params(labelbottom=True)
        if i % columns == 0:
            place.set_ylabel(wrapped(y_label, UPRIGHT * high))
            place.tick_params(labelleft=True)


def diagram_cells(
    runs: pd.DataFrame, plane: Plane, phases: Phases, shading: Shading = DELAY
) -> pd.DataFrame:
    """What one panel of `phase_diagram` shows: one row a cell."""
    cells = gather(runs, plane, shading.column, phases.grokked).table
    return cells.rename(columns={"x": plane.x, "y": plane.y, "shade": shading.column})


def _rectangles(cells: pd.DataFrame) -> list[Rectangle]:
    return [
        Rectangle((c.x_low, c.y_low), c.x_high - c.x_low, c.y_high - c.y_low)
        for c in cells.itertuples()
    ]


def draw_phases(axes: Axes, cells: Cells, phases: Phases) -> None:
    """Phases in colour, P(grok) as opacity, censored cells hatched, a ring where a run
    came to rest halfway, the boundary."""
    table = cells.table
    colours = [_blend(c, phases.colours) for c in table.itertuples()]
    axes.add_collection(
        PatchCollection(_rectangles(table), facecolors=colours, linewidths=0)
    )
    hatch_censored(axes, table, "#333333")
    _ring_partial(axes, cells)
    _draw_boundary(axes, table)


def hatch_censored(axes: Axes, table: pd.DataFrame, colour: str) -> None:
    axes.add_collection(
        PatchCollection(
            _rectangles(table[table["censored"] >= 0.5]),
            facecolors="none",
            edgecolors=colour,
            hatch=HATCH,
            linewidths=0,
        )
    )


def _ring_partial(axes: Axes, cells: Cells) -> None:
    table = cells.table[cells.table["partial"] > 0]
    places = []
    for axis, log in (("x", cells.x_log), ("y", cells.y_log)):
        low, high = table[f"{axis}_low"], table[f"{axis}_high"]
        middle = np.sqrt(low * high) if log else (low + high) / 2
        # Where the cell's runs are; 0 has no place of its own on a log axis.
        places.append(table[axis].where(table[axis] != 0, middle))
    axes.plot(*places, **RING, markersize=points(3))


def _draw_boundary(axes: Axes, table: pd.DataFrame) -> None:
    look: Any = {"colors": "black", "linewidths": points(1.4)}
    lines = LineCollection(boundary(table), **look, capstyle="projecting")
    axes.add_collection(lines, autolim=False)


def _blend(cell: Any, colours: dict[str, str]) -> tuple[float, float, float]:
    """Colour of the commonest phase; what generalises at opacity P(grok) on white."""
    if cell.p_grok == 0:
        return to_rgb(colours[cell.phase])
    top = to_rgb(colours[cell.top])
    red, green, blue = (cell.p_grok * c + 1 - cell.p_grok for c in top)
    return red, green, blue


def _draw_shades(axes: Axes, cells: Cells, norm: Normalize, none: str) -> None:
    """The median of a quantity in each cell; grey where no run has it."""
    known = np.isfinite(cells.table["shade"])
    fill_unknown(axes, cells.table[~known])
    table = cells.table[known]
    shade(axes, table, "shade", norm)
    if table.empty:
        say_nothing(axes, none)
    else:
        # A quantity of a run that its budget cut short would still move.
        hatch_censored(axes, table, "#BBBBBB")
    _draw_boundary(axes, cells.table)


def fill_unknown(axes: Axes, table: pd.DataFrame) -> None:
    """Cells that were run and have no value, unlike the white where nothing was."""
    cells = PatchCollection(_rectangles(table), facecolors=NO_VALUE, linewidths=0)
    axes.add_collection(cells)


def shade(axes: Axes, table: pd.DataFrame, name: str, norm: Normalize) -> None:
    """Colours cells by one of their columns."""
    colours = mpl.colormaps["viridis"](norm(table[name].to_numpy()))
    axes.add_collection(
        PatchCollection(_rectangles(table), facecolors=colours, linewidths=0)
    )


def scale(axes: Axes, cells: Cells, ems: float = SMALLEST) -> None:
    """Limits, log scales and ticks of a panel so many letters wide; zero on a log axis
    is marked as 0."""
    table = cells.table
    for axis, log in (("x", cells.x_log), ("y", cells.y_log)):
        side = getattr(axes, f"{axis}axis")
        low, high = table[f"{axis}_low"].min(), table[f"{axis}_high"].max()
        most = most_below(ems - 4.0) if axis == "x" else 4
        if log:
            getattr(axes, f"set_{axis}scale")("log")
            label_log(side, most)
        room = ems - 4.0 if axis == "x" else height_of(ems)
        values, places = _swept(table, axis, log)
        shares = _share(places, low, high, log)
        if label_swept(side, values, shares, places, log, room):
            least = values[values > 0].min() if log and values[0] == 0 else low
            if log:
                side.set_ticks(round_values(least, high, EVERY), minor=True)
        elif log:
            mark_zero(side, axis, table, most)
        else:
            label_linear(side, most)
        getattr(axes, f"set_{axis}lim")(low, high)


def _swept(table: pd.DataFrame, axis: str, log: bool) -> tuple[Floats, Floats]:
    """The values of an axis, sorted, and where each stands: 0 on a log axis, too."""
    one = table.drop_duplicates(axis).sort_values(axis)
    values = one[axis].to_numpy(float)
    middle = np.sqrt(np.abs(one[f"{axis}_low"] * one[f"{axis}_high"])).to_numpy(float)
    return values, np.where((values == 0) & log, middle, values)


def _share(places: Floats, low: float, high: float, log: bool) -> Floats:
    """Of the axis, that lies below each place."""
    if log:
        places, low, high = np.log(places), np.log(low), np.log(high)
    return (places - low) / (high - low)


def mark_zero(side: Any, axis: str, table: pd.DataFrame, most: int) -> None:
    zero = table[table[axis] == 0]
    if len(zero) == 0:
        return
    row = zero.iloc[0]
    at = float(np.sqrt(row[f"{axis}_low"] * row[f"{axis}_high"]))
    values = table.loc[table[axis] > 0, axis]
    label_zero(side, at, values.min(), values.max(), most)


def _shade_bar(
    figure: Figure,
    half: Any,
    norm: Normalize,
    shading: Shading,
    shades: pd.Series,
    layout: Layout,
) -> None:
    place: Any = {"location": "right"} if layout.beside else {"location": "bottom"}
    panels = [axes for axes in half.flat if axes.figure is not None]
    # As thick beside several rows as beside one.
    aspect = 18 * layout.rows if layout.beside else 35
    look: Any = {"shrink": 1.0 if layout.beside else 0.9, "aspect": aspect, "pad": 0.02}
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=panels, **place, **look)
    high = layout.rows * panel_height(layout)
    bar.set_label(wrapped(shading.label, 0.7 * high if layout.beside else np.inf))
    bar.outline.set_linewidth(points(0.6))
    if shading.log:
        label_bar(bar, norm.vmin or 1.0, norm.vmax or 10.0)
    known = np.unique(shades[np.isfinite(shades)])
    if len(known) == 1:  # no scale has to be read
        bar.set_ticks(known.tolist(), labels=[number(float(known[0]))])
