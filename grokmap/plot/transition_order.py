"""Distributions over seeds at a boundary, and Binder's cumulant across it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.arrays import Floats
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    say_nothing,
)
from grokmap.plot.hysteresis import LINES, MARKERS
from grokmap.plot.names import NO_BREAK, place_words
from grokmap.plot.style import COLOURS, PAPER, Look, points, styled
from grokmap.plot.ticks import label_linear, label_log, most_below, number

BINS = 12
COLUMNS = 4
SMALLEST = 14.0  # width of a panel in letters


def order_panels(
    table: pd.DataFrame,
    values: Mapping[str, Mapping[int, Floats]],
    x: str,
    labels: Mapping[str, str],
    x_label: str,
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """Of each quantity: histograms at each width's boundary, then mean and Binder.

    Args:
      table: `transition_order.cells`; values: by quantity and width, those of the seeds
        at the boundary cell; labels: of the quantities.
    """
    widths = sorted(table["width"].unique())
    count = len(widths) + 2
    columns = min(COLUMNS, look.columns(SMALLEST), count)
    bands, ems = -(-count // columns), look.ems / columns
    rows = len(values) * bands
    with styled(look):
        figure = blank(look, rows * (0.65 * ems + 5.0) + 5.0)
        grid: Any = figure.subplots(rows, columns, squeeze=False)
        panels = grid.reshape(len(values), -1)
        for unused in panels[:, count:].flat:
            unused.remove()
        titles: list[str] = []
        for own, (name, samples) in zip(panels, values.items(), strict=True):
            cells = table[table["quantity"] == name]
            titles += _histograms(own, samples, cells, x, labels[name], widths)
            for axes, column, label in (
                (own[count - 2], "mean", labels[name]),
                (own[count - 1], "binder", "Binder cumulant $U$"),
            ):
                _lines(axes, cells, x, column, most_below(ems - 4))
                axes.set(xlabel=x_label, ylabel=label)
            titles += ["mean over seeds", "Binder cumulant"]
        entitle(panels[:, :count].flat, titles, ems - 3.5)
        legend_above(figure, look, _handles(widths))
        return finished(figure, look, caption)


def _histograms(
    row: Any,
    values: Mapping[int, Floats],
    cells: pd.DataFrame,
    x: str,
    label: str,
    widths: Sequence[int],
) -> list[str]:
    """Draws one for each width, and says where it is taken."""
    pooled = np.concatenate(list(values.values())) if values else np.zeros(1)
    low, high = pooled.min(), pooled.max()
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    boundary = cells[cells["at_boundary"]].set_index("width")
    titles = []
    for i, (axes, width) in enumerate(zip(row, widths, strict=False)):
        sample = values.get(width, np.zeros(0))
        axes.hist(sample, edges, color=COLOURS["grok"])
        if not len(sample):
            say_nothing(axes, "no boundary cell")
        axes.set_xlabel(label)
        label_linear(axes.xaxis, 3)
        label_linear(axes.yaxis, 4)
        axes.yaxis.get_major_locator().set_params(integer=True)
        if i == 0:
            axes.set_ylabel("seeds")
        titles.append(_where(width, x, boundary))
    return titles


def _where(width: int, x: str, boundary: pd.DataFrame) -> str:
    if width not in boundary.index:
        return place_words({"width": int(width)})
    cell = boundary.loc[width]
    place = place_words({"width": int(width), x: float(cell[x])})
    # Too few seeds have no p.
    dip = number(float(f"{cell['p_dip']:.2g}")) if pd.notna(cell["p_dip"]) else "-"
    return f"{place}\n" + f"dip test $p$ = {dip}".replace(" ", NO_BREAK)


def _look(i: int) -> dict[str, Any]:
    return {
        "color": LINES[i % len(LINES)],
        "marker": MARKERS[i % len(MARKERS)],
        "markersize": points(2.6),
        "linewidth": points(0.9),
    }


def _handles(widths: Sequence[int]) -> list[Line2D]:
    return [
        Line2D([], [], label=place_words({"width": int(width)}), **_look(i))
        for i, width in enumerate(widths)
    ]


def _lines(axes: Any, cells: pd.DataFrame, x: str, column: str, most: int) -> None:
    for i, (_, rows) in enumerate(cells.groupby("width")):
        rows = rows.sort_values(x)
        axes.plot(rows[x], rows[column], **_look(i))
    if cells[x].min() > 0:
        axes.set_xscale("log")
        label_log(axes.xaxis, most)
    else:
        label_linear(axes.xaxis, most)
    label_linear(axes.yaxis, 4)
    if cells[column].isna().all():
        say_nothing(axes, "not defined on a log scale")
    elif column == "binder":
        for level in (0, 2 / 3):
            line: Any = {"color": "black", "linestyle": ":"}
            axes.axhline(level, **line, linewidth=points(0.6))
        axes.set_ylim(bottom=max(-3.0, cells["binder"].min() - 0.2), top=0.8)
