"""Distributions over seeds at a boundary, and Binder's cumulant across it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from grokmap.arrays import Floats
from grokmap.plot.figure import Figure
from grokmap.plot.hysteresis import LINES, MARKERS
from grokmap.plot.style import COLOURS, styled
from grokmap.plot.ticks import label_log

BINS = 12


def order_panels(
    table: pd.DataFrame,
    values: Mapping[str, Mapping[int, Floats]],
    x: str,
    labels: Mapping[str, str],
    x_label: str,
) -> Figure:
    """A row a quantity: histograms at each width's boundary, then mean and Binder.

    Args:
      table: `transition_order.cells`; values: by quantity and width, those of the seeds
        at the boundary cell; labels: of the quantities.
    """
    widths = sorted(table["width"].unique())
    with styled():
        columns = len(widths) + 2
        ratios = [1.0] * len(widths) + [1.5, 1.5]
        figure = Figure(
            figsize=(1.35 * len(widths) + 4.4, 1.75 * len(values) + 0.3),
            layout="constrained",
        )
        grid = figure.subplots(len(values), columns, squeeze=False, width_ratios=ratios)
        for i, (name, samples) in enumerate(values.items()):
            cells = table[table["quantity"] == name]
            last = i == len(values) - 1
            _histograms(grid[i, :-2], samples, cells, x, labels[name], widths)
            _lines(grid[i, -2], cells, x, "mean", labels[name])
            _lines(grid[i, -1], cells, x, "binder", "Binder cumulant $U$")
            if cells["binder"].isna().all():
                grid[i, -1].set_visible(False)
            for axes in grid[i, -2:]:
                axes.set_xlabel(x_label if last else "")
        grid[0, -2].legend(title="width $N$", fontsize=6, title_fontsize=6)
    return figure


def _histograms(
    row: Any,
    values: Mapping[int, Floats],
    cells: pd.DataFrame,
    x: str,
    label: str,
    widths: Sequence[int],
) -> None:
    pooled = np.concatenate(list(values.values())) if values else np.zeros(1)
    low, high = pooled.min(), pooled.max()
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    boundary = cells[cells["at_boundary"]].set_index("width")
    for axes, width in zip(row, widths, strict=True):
        axes.hist(values.get(width, []), edges, color=COLOURS["grok"])
        axes.set_xlabel(label, fontsize=7)
        axes.tick_params(labelsize=6)
        axes.yaxis.get_major_locator().set_params(integer=True)
        if width in boundary.index:
            cell = boundary.loc[width]
            where = rf"$N$ = {width}, $\lambda$ = {cell[x]:.3g}"
            where = where if x == "weight_decay" else f"$N$ = {width}, {cell[x]:.3g}"
            known = pd.notna(cell["p_dip"])  # too few seeds have none
            dip = f"{cell['p_dip']:.2g}" if known else "-"
            axes.set_title(f"{where}\ndip $p$ = {dip}", fontsize=6.5)
    row[0].set_ylabel("seeds")


def _lines(axes: Any, cells: pd.DataFrame, x: str, column: str, label: str) -> None:
    for i, (width, rows) in enumerate(cells.groupby("width")):
        rows = rows.sort_values(x)
        style = {
            "color": LINES[i % len(LINES)],
            "marker": MARKERS[i % len(MARKERS)],
            "markersize": 3,
            "linewidth": 0.9,
        }
        axes.plot(rows[x], rows[column], label=f"{width}", **style)
    if cells[x].min() > 0:
        axes.set_xscale("log")
        label_log(axes.xaxis)
    if column == "binder":
        axes.axhline(0, color="black", linewidth=0.6, linestyle=":")
        axes.axhline(2 / 3, color="black", linewidth=0.6, linestyle=":")
        axes.set_ylim(bottom=max(-3.0, cells["binder"].min() - 0.2), top=0.8)
    axes.set_ylabel(label, fontsize=7)
    axes.tick_params(labelsize=6, which="both")
