"""Times and P(grok) against one axis: lines, in small multiples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Floats
from grokmap.plot.cells import with_edges
from grokmap.plot.diagram import even, mark_zero
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    wrapped,
)
from grokmap.plot.lines import (
    P_GROK,
    Below,
    LinePanel,
    draw_panel,
    entries,
    hues,
    is_known,
)
from grokmap.plot.style import PAPER, Look, styled
from grokmap.plot.ticks import label_linear, label_log, most_below, number

SMALLEST = 13.0  # width of a panel in letters
BESIDE = 20.0  # from which on the panels of one place stand side by side
COLUMNS = 4


class Axis(NamedTuple):
    """The axis of the figure: its label, and whether it is read as its log."""

    label: str
    log: bool


class Layout(NamedTuple):
    """Panels of each place above each other, or side by side where it is one place.

    parts: panels of a place; ems: width of a panel in letters.
    """

    parts: int
    columns: int
    beside: bool
    ems: float


def axis_lines(
    panels: Sequence[LinePanel],
    axis: Axis,
    below: Below | None = None,
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """t_mem and t_grok, P(grok), then a quantity, if there is one.

    caption: what is fixed in it.
    """
    layout = _layout(len(panels), 2 if below is None else 3, look)
    own = hues(panels)
    with styled(look):
        figure, blocks = _blank(len(panels), layout, look)
        for block, panel in zip(blocks, panels, strict=True):
            draw_panel(block, panel, axis.log, below, own)
        _scale(blocks, panels, axis, layout, below)
        titles = {
            id(block[0]): panel.title
            for block, panel in zip(blocks, panels, strict=True)
        }
        words = [titles.get(id(axes), "") for axes in figure.axes]
        entitle(figure.axes, words, layout.ems - 3)
        legend_above(figure, look, entries(panels, own, below))
        return finished(figure, look, caption)


def _layout(n_panels: int, parts: int, look: Look) -> Layout:
    beside = n_panels == 1 and look.ems / parts >= BESIDE
    columns = parts if beside else even(n_panels, min(COLUMNS, look.columns(SMALLEST)))
    return Layout(parts, columns, beside, look.ems / columns)


def _blank(n_panels: int, layout: Layout, look: Look) -> tuple[Figure, list[Any]]:
    """(figure, [block][parts] axes): x is shared by all, y by those of a part."""
    parts, columns = layout.parts, layout.columns
    bands = 1 if layout.beside else -(-n_panels // columns)
    rows = 1 if layout.beside else parts * bands
    figure = blank(look, rows * (_high(layout) + 2.0) + bands * 2.0 + 5.0)
    grid: Any = figure.subplots(rows, columns, squeeze=False, sharex=True)
    if layout.beside:
        return figure, [grid[0]]
    by_block = grid.reshape(bands, parts, columns).swapaxes(1, 2)
    by_block = by_block.reshape(bands * columns, parts)
    for axes in by_block[n_panels:].flat:
        axes.remove()
    for part in by_block[:n_panels].T:
        for axes in part[1:]:
            axes.sharey(part[0])
    return figure, list(by_block[:n_panels])


def _high(layout: Layout) -> float:
    """Of a panel, in letters."""
    return float(np.clip(0.6 * layout.ems, 9.0, 13.0))


def _scale(
    blocks: Sequence[Any],
    panels: Sequence[LinePanel],
    axis: Axis,
    layout: Layout,
    below: Below | None,
) -> None:
    """Labels and ticks, of the outer sides where panels share them."""
    labels = ["steps", P_GROK, "" if below is None else below.shading.label]
    cells = _all_cells(panels)
    most = most_below(layout.ems - 4)
    for i, block in enumerate(blocks):
        for part, axes in enumerate(block):
            _scale_x(axes, cells, axis, most)
            first = layout.beside or i % layout.columns == 0
            if first:
                axes.set_ylabel(wrapped(labels[part], 0.8 * _high(layout)))
            last = part == layout.parts - 1 and i + layout.columns >= len(blocks)
            last = last or layout.beside
            axes.tick_params(labelleft=first, labelbottom=last)
            if last:
                axes.set_xlabel(wrapped(axis.label, layout.ems - 3))
        _scale_y(block, below)
    if not any(is_known(panel, "t_mem", "t_grok") for panel in panels):
        for block in blocks:  # an axis of nothing would have ticks of its own
            block[0].tick_params(axis="y", which="both", left=False, labelleft=False)


def _scale_y(block: Any, below: Below | None) -> None:
    block[0].set_yscale("log")
    label_log(block[0].yaxis)
    block[1].set_ylim(-0.06, 1.06)
    block[1].set_yticks([0, 0.5, 1], labels=["0", "½", "1"])
    if below is None:
        return
    if below.shading.log:
        block[2].set_yscale("log")
        label_log(block[2].yaxis)
    else:
        label_linear(block[2].yaxis)


def _all_cells(panels: Sequence[LinePanel]) -> pd.DataFrame:
    tables = [line.cells for p in panels for line in p.lines if line.cells is not None]
    return pd.concat(tables, ignore_index=True)


def _scale_x(axes: Any, cells: pd.DataFrame, axis: Axis, most: int) -> None:
    values = np.unique(cells["x"].to_numpy(float))
    if axis.log:
        axes.set_xscale("log")
        label_log(axes.xaxis, most)
        mark_zero(axes.xaxis, "x", with_edges(cells, "x", True, None), most)
    elif len(values) == 1 or np.diff(values).min() * most >= np.ptp(values):
        # As few and as far apart as round numbers would be.
        axes.set_xticks(values, labels=[number(x) for x in values])
    else:
        label_linear(axes.xaxis, most)


def places(x: Floats, log: bool) -> Floats:
    """[n] where values of the axis stand on it: 0 has a place on a log axis, too."""
    if not log or not (x == 0).any():
        return x
    table = with_edges(pd.DataFrame({"x": x}), "x", True, None)
    middle = np.sqrt(table["x_low"] * table["x_high"]).to_numpy(float)
    return np.where(x == 0, middle, x)
