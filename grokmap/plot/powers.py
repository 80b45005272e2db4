"""How quantities scale with a size: panels on log axes, with a power of the size."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    panels_of,
    wrapped,
)
from grokmap.plot.style import NEUTRAL, PAPER, Look, points, styled
from grokmap.plot.ticks import label_log, most_below

SMALLEST = 18.0  # width of a panel in letters


class Scaling(NamedTuple):
    """One panel: table has series, x and y above 0, a row a run; slope: of the dashed
    line, a power of x; None: none."""

    title: str
    y_label: str
    table: pd.DataFrame
    slope: float | None = None


def power_laws(
    panels: Sequence[Scaling], x_label: str, look: Look = PAPER, caption: str = ""
) -> Figure:
    """A mark a run and a line through the geometric means of each series.

    Series have the colours of their order in all panels, dark to light, and its legend;
    the dashed line begins at the first mean of the first series.
    """
    names = list(dict.fromkeys(pd.concat([p.table for p in panels])["series"]))
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.88, len(names)))
    colours = dict(zip(names, shades, strict=True))
    columns = min(look.columns(SMALLEST), len(panels))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.75 * ems + 3.0) + 3.0)
        drawn = panels_of(figure, len(panels), columns)
        for axes, panel in zip(drawn, panels, strict=True):
            _draw(axes, panel, colours)
            axes.set(xscale="log", yscale="log")
            label_log(axes.xaxis, most_below(ems - 4))
            label_log(axes.yaxis)
            axes.set_xlabel(wrapped(x_label, ems - 5))
            axes.set_ylabel(wrapped(panel.y_label, 0.6 * ems))
        entitle(drawn, [panel.title for panel in panels], ems - 5.0)
        legend_above(figure, look, _handles(colours, panels))
        return finished(figure, look, caption)


def _draw(axes: Any, panel: Scaling, colours: dict[str, Any]) -> None:
    means = []
    for name, part in panel.table.groupby("series", sort=False):
        colour = colours[str(name)]
        axes.plot(part["x"], part["y"], "o", color=colour, alpha=0.35, ms=points(2))
        mean = np.exp(np.log(part["y"]).groupby(part["x"]).mean())
        axes.plot(mean.index, mean, color=colour)
        means.append(mean)
    if panel.slope is not None:
        x = means[0].index.to_numpy(float)
        line = means[0].iloc[0] * (x / x[0]) ** panel.slope
        axes.plot(x, line, "--", color=NEUTRAL)


def _handles(colours: dict[str, Any], panels: Sequence[Scaling]) -> list[Line2D]:
    lines = [
        Line2D([], [], color=shade, label=name, linewidth=points(1.1))
        for name, shade in colours.items()
    ]
    slopes = dict.fromkeys(p.slope for p in panels if p.slope is not None)
    return lines + [
        Line2D(
            [],
            [],
            color=NEUTRAL,
            linestyle="--",
            linewidth=points(1.1),
            label=f"$N^{{{Fraction(slope).limit_denominator(9)}}}$",
        )
        for slope in slopes
    ]
