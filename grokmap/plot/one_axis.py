"""Times and P(grok) against one axis: lines, in small multiples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from grokmap.arrays import Floats
from grokmap.plot.cells import with_edges
from grokmap.plot.diagram import Shading, mark_zero, say_nothing, wrapped
from grokmap.plot.figure import Figure
from grokmap.plot.hysteresis import LINES
from grokmap.plot.style import COLOURS, styled
from grokmap.plot.ticks import label_log

COLUMNS = 4
MARKERS = "osD^vP"
MOST_LINES = len(LINES)
DARK = "#333333"
# Between lines, so that intervals stay apart: of the distance of two values, at most of
# the whole axis.
DODGE, MOST_DODGE = 0.12, 0.008
FEW = 6  # values of a linear axis that all have ticks
P_GROK, T_MEM, T_GROK = "P(grok)", r"$t_{\mathrm{mem}}$", r"$t_{\mathrm{grok}}$"


class Line(NamedTuple):
    """Cells along the axis; see `result.one_axis` for the columns.

    title: what tells it from the other lines of a panel. cells: x, t_mem, t_grok and
    p_grok with their ends; runs: x, and of each run t_mem, t_grok, n_steps, undecided;
    extra: x, value, low, high of a quantity below; each None where there is none.
    """

    title: str
    cells: pd.DataFrame | None
    runs: pd.DataFrame | None = None
    extra: pd.DataFrame | None = None


class LinePanel(NamedTuple):
    """The lines of one of the small multiples."""

    title: str
    lines: Sequence[Line]


class Axis(NamedTuple):
    """The axis of the figure: its label, and whether it is read as its log."""

    label: str
    log: bool


def axis_lines(
    panels: Sequence[LinePanel],
    axis: Axis,
    extra: Shading | None = None,
    even: float | None = None,
) -> Figure:
    """t_mem and t_grok above, P(grok) below them, then a quantity, if there is one.

    extra: the quantity; even: where a line across its panels is drawn.
    """
    columns = min(len(panels), COLUMNS)
    blocks, parts = -(-len(panels) // columns), 2 if extra is None else 3
    ratios = (1.9, 1.0, 1.2)[:parts] * blocks
    wide = 3.9 if columns == 1 else 2.1 * columns + 0.4
    with styled():
        size = (wide, 0.85 * sum(ratios) + 0.7)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(
            parts * blocks,
            columns,
            squeeze=False,
            height_ratios=ratios,
            sharex=True,
            sharey=False,
        )
        _share(grid, parts)
        for place, panel in enumerate(panels):
            block, column = divmod(place, columns)
            rows = grid[block * parts : (block + 1) * parts, column]
            _draw_panel(rows, panel, axis.log, extra, even)
            rows[0].set_title(wrapped(panel.title), fontsize=7)
        _finish(grid, panels, axis, parts, extra)
        _legend(figure, panels)
    return figure


def _share(grid: Any, parts: int) -> None:
    """One scale of each kind of panel."""
    for part in range(parts):
        first, *others = grid[part::parts].ravel()
        for axes in others:
            axes.sharey(first)


def _draw_panel(
    rows: Any, panel: LinePanel, log: bool, extra: Shading | None, even: float | None
) -> None:
    one = len(panel.lines) == 1
    rows[0].set_yscale("log")
    rows[1].set_ylim(-0.06, 1.06)
    for i, line in enumerate(_dodged(panel.lines, log)):
        colour = LINES[i % MOST_LINES]
        if line.cells is not None:
            mem, grok = _colours(colour, one)
            _draw_time(rows[0], line.cells, "t_mem", mem, (":", "white", MARKERS[i]))
            _draw_time(rows[0], line.cells, "t_grok", grok, ("-", grok, MARKERS[i]))
            _draw_share(rows[1], line.cells, grok, MARKERS[i])
            if line.runs is not None:
                _draw_runs(rows[0], line.runs, (mem, grok), one)
        if line.extra is not None and extra is not None:
            is_own = line.cells is not None and not one
            _draw_extra(rows[2], line.extra, colour if is_own else DARK, MARKERS[i])
    if extra is not None:
        if even is not None:
            rows[2].axhline(even, color="#888888", linewidth=0.7)
        if extra.log:
            rows[2].set_yscale("log")
    if not rows[0].has_data():
        say_nothing(rows[0], "no run memorises")


def _dodged(lines: Sequence[Line], log: bool) -> list[Line]:
    """The lines, each a little beside the others."""
    own = [i for i, line in enumerate(lines) if line.cells is not None]
    moved = list(lines)
    for rank, i in enumerate(own):
        by = rank - (len(own) - 1) / 2
        tables = [_moved(table, by, log) for table in lines[i][1:]]
        moved[i] = Line(lines[i].title, *tables)
    return moved


def _moved(table: pd.DataFrame | None, by: float, log: bool) -> pd.DataFrame | None:
    """`at` moved by so many steps of DODGE."""
    if table is None or table["at"].nunique() < 2:
        return table
    at = np.log(table["at"]) if log else table["at"]
    step = min(DODGE * np.diff(np.unique(at)).min(), MOST_DODGE * np.ptp(at))
    at = at + by * step
    return table.assign(at=np.exp(at) if log else at)


def _colours(colour: str, one: bool) -> tuple[str, str]:
    """Of t_mem and t_grok: those of the phases where there is one line."""
    return (COLOURS["memorize-only"], COLOURS["grok"]) if one else (colour, colour)


def _draw_time(
    axes: Any, cells: pd.DataFrame, name: str, colour: str, look: tuple[str, str, str]
) -> None:
    """Medians with their quartiles; an arrow where the upper one is beyond."""
    dashes, face, marker = look
    known = cells[np.isfinite(cells[name]) & (cells[name] > 0)]
    x, middle = known["at"].to_numpy(), known[name].to_numpy(float)
    if not len(known):
        return
    low, high = (known[name + end].to_numpy(float) for end in ("_q25", "_q75"))
    beyond = ~np.isfinite(high)
    ends = np.array([middle - low, np.where(beyond, 0.0, high - middle)])
    style: Any = {"color": colour, "linewidth": 0.9, "ms": 3.5, "elinewidth": 0.8}
    style |= {"markerfacecolor": face, "markeredgewidth": 0.8, "marker": marker}
    # A gap in the line where a median is beyond what the runs show.
    line = np.where(np.isfinite(cells[name]), cells[name].astype(float), np.nan)
    axes.plot(cells["at"], line, linestyle=dashes, color=colour, linewidth=0.9)
    axes.errorbar(x, middle, yerr=ends, linestyle="none", **style)
    axes.plot(x[beyond], middle[beyond] * 1.25, "^", ms=3, color=colour)


def _draw_runs(
    axes: Any, runs: pd.DataFrame, colours: tuple[str, str], dots: bool
) -> None:
    """Each seed as a dot, where there is one line; the budget of each run that may
    still grok as an open arrow."""
    for name, colour in zip(("t_mem", "t_grok"), colours, strict=True):
        if dots:
            known = runs[runs[name].notna() & (runs[name] > 0)]
            axes.plot(known["at"], known[name], ".", ms=2.5, color=colour, alpha=0.35)
    cut = runs[runs["undecided"]]
    style: Any = {"markerfacecolor": "none", "markeredgewidth": 0.7, "ms": 4}
    axes.plot(cut["at"], cut["n_steps"], "^", color=colours[1], **style)


def _draw_share(axes: Any, cells: pd.DataFrame, colour: str, marker: str) -> None:
    """P(grok) of decided runs; its interval holds whatever the others would do."""
    x, low, high = (
        cells[k].to_numpy(float) for k in ("at", "p_grok_low", "p_grok_high")
    )
    axes.vlines(x, low, high, color=colour, linewidth=0.8)
    axes.plot(x, cells["p_grok"], marker=marker, ms=3.5, color=colour, linewidth=0.9)


def _draw_extra(axes: Any, cells: pd.DataFrame, colour: str, marker: str) -> None:
    known = cells[np.isfinite(cells["value"])]
    x, value = known["at"].to_numpy(float), known["value"].to_numpy(float)
    low, high = (known[end].to_numpy(float) for end in ("low", "high"))
    ends = np.nan_to_num(np.array([value - low, high - value]), nan=0.0)
    ends = np.where(np.isfinite(ends), ends, 0.0).clip(0)
    style: Any = {"color": colour, "linewidth": 0.9, "ms": 3.5, "elinewidth": 0.8}
    axes.errorbar(x, value, yerr=ends, marker=marker, **style)


def _finish(
    grid: Any,
    panels: Sequence[LinePanel],
    axis: Axis,
    parts: int,
    extra: Shading | None,
) -> None:
    """Labels and ticks of the outer sides; panels that are not there are hidden."""
    columns = grid.shape[1]
    labels = ["steps", P_GROK, "" if extra is None else _in_lines(extra.label)]
    cells = _all_cells(panels)
    for (row, column), axes in np.ndenumerate(grid):
        place, part = (row // parts) * columns + column, row % parts
        axes.set_visible(place < len(panels))
        axes.tick_params(labelsize=7, which="both", labelleft=column == 0)
        if column == 0:
            axes.set_ylabel(labels[part])
        last = part == parts - 1 and place + columns >= len(panels)
        axes.tick_params(labelbottom=last)
        if last:
            axes.set_xlabel(axis.label)
        if part == 0 or (part == 2 and extra is not None and extra.log):
            label_log(axes.yaxis)
        _scale_x(axes, cells, axis)
    grid[1, 0].set_yticks([0, 0.5, 1], labels=["0", "½", "1"])


def _in_lines(label: str) -> str:
    """A label beside a low panel: the symbol, and what is said of it below."""
    return label.partition(" (")[0].replace(" of the run", "").replace("$ ", "$\n", 1)


def _all_cells(panels: Sequence[LinePanel]) -> pd.DataFrame:
    tables = [line.cells for p in panels for line in p.lines if line.cells is not None]
    return pd.concat(tables, ignore_index=True)


def _scale_x(axes: Any, cells: pd.DataFrame, axis: Axis) -> None:
    if axis.log:
        axes.set_xscale("log")
        label_log(axes.xaxis)
        mark_zero(axes, "x", with_edges(cells, "x", True, None))
    elif cells["x"].nunique() <= FEW:
        axes.set_xticks(sorted(cells["x"].unique()))
        axes.xaxis.set_major_formatter("{x:g}")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))


def places(x: Floats, log: bool) -> Floats:
    """[n] where values of the axis stand on it: 0 has a place on a log axis, too."""
    if not log or not (x == 0).any():
        return x
    table = with_edges(pd.DataFrame({"x": x}), "x", True, None)
    middle = np.sqrt(table["x_low"] * table["x_high"]).to_numpy(float)
    return np.where(x == 0, middle, x)


def _legend(figure: Figure, panels: Sequence[LinePanel]) -> None:
    """What lines and markers are, above the panels."""
    lines = max((panel.lines for panel in panels), key=len)
    one = len(lines) == 1
    mem, grok = _colours(DARK, one)
    dashed: Any = {"linestyle": ":", "marker": "o", "markerfacecolor": "white"}
    handles = [
        Line2D([], [], color=grok, marker="o", ms=3.5, label=f"{T_GROK}, median"),
        Line2D([], [], color=mem, ms=3.5, label=f"{T_MEM}, median", **dashed),
    ]
    tables = [line.runs for p in panels for line in p.lines if line.runs is not None]
    if any(runs["undecided"].any() for runs in tables):
        arrow: Any = {"linestyle": "none", "marker": "^", "markerfacecolor": "none"}
        words = "budget of a censored run"
        handles.append(Line2D([], [], color=grok, ms=4, label=words, **arrow))
    if not one:
        handles += [
            Line2D([], [], color=LINES[i], marker=MARKERS[i], ms=3.5, label=line.title)
            for i, line in enumerate(lines)
            if line.title
        ]
    columns = 2 if len(panels) == 1 else 4
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=columns,
        frameon=False,
        fontsize=6.5,
        handlelength=1.8,
        columnspacing=1.0,
    )
