"""Numbers against the width, and what theory says of them: panels side by side.

`width_panels` draws measured numbers with intervals and predictions, `power_laws` runs
one by one and a power of the size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from grokmap.arrays import Floats
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    panels_of,
    wrapped,
)
from grokmap.plot.hysteresis import LINES
from grokmap.plot.lines import DARK, MARKERS
from grokmap.plot.style import NEUTRAL, PAPER, Look, points, styled
from grokmap.plot.ticks import label_log, most_below, number

SMALLEST = 17.0  # width of a panel in letters


class WidthSeries(NamedTuple):
    """One series of measured points, and its prediction.

    label: as in the legend; panels that share one have its colour. widths: [k]; values,
    low, high: [k], the ends NaN where there is no interval. predicted: [k] ([0]: there
    is none).
    """

    label: str
    widths: Floats
    values: Floats
    low: Floats
    high: Floats
    predicted: Floats


class WidthPanel(NamedTuple):
    """title, label: above it, and of its vertical axis; log: whether that is a log;
    x_label: of the other axis, where it is not the width."""

    title: str
    label: str
    series: Sequence[WidthSeries]
    log: bool = True
    x_label: str = "width $N$"


def width_panels(
    panels: Sequence[WidthPanel], look: Look = PAPER, caption: str = ""
) -> Figure:
    """Panels side by side: marks with 95% intervals measured, lines predicted."""
    labels = list(dict.fromkeys(s.label for panel in panels for s in panel.series))

    def draw(axes: Axes, panel: WidthPanel, ems: float) -> None:
        _draw_series(axes, panel, labels, ems)

    return _in_panels(panels, draw, _series_handles(panels, labels), look, caption)


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

    def draw(axes: Axes, panel: Scaling, ems: float) -> None:
        _draw_runs(axes, panel, colours)
        axes.set(xscale="log", yscale="log")
        label_log(axes.xaxis, most_below(ems - 4))
        label_log(axes.yaxis)
        axes.set_xlabel(wrapped(x_label, ems - 5))
        axes.set_ylabel(wrapped(panel.y_label, 0.6 * ems))

    return _in_panels(panels, draw, _run_handles(colours, panels), look, caption)


Panel = TypeVar("Panel", WidthPanel, Scaling)


def _in_panels(
    panels: Sequence[Panel],
    draw: Callable[[Axes, Panel, float], None],
    handles: list[Line2D],
    look: Look,
    caption: str,
) -> Figure:
    """draw: told the width of a panel in letters."""
    columns = min(len(panels), look.columns(SMALLEST))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.75 * ems + 4.0) + 4.0)
        places = panels_of(figure, len(panels), columns)
        for axes, panel in zip(places, panels, strict=True):
            draw(axes, panel, ems)
        entitle(places, [panel.title for panel in panels], ems - 4)
        legend_above(figure, look, handles)
        return finished(figure, look, caption)


def _draw_series(
    axes: Axes, panel: WidthPanel, labels: Sequence[str], ems: float
) -> None:
    for series in panel.series:
        hue = _hue(labels.index(series.label))
        errors = np.stack([series.values - series.low, series.high - series.values])
        known = np.where(np.isfinite(errors), np.maximum(errors, 0.0), 0.0)
        axes.errorbar(series.widths, series.values, known, linestyle="", **hue)
        if len(series.predicted):
            axes.plot(series.widths, series.predicted, color=hue["color"])
    axes.set_xscale("log", base=2)
    widths = np.unique(np.concatenate([s.widths for s in panel.series]))
    shown = widths[:: -(-len(widths) // most_below(ems - 5))]
    axes.set_xticks(shown, [number(width) for width in shown])
    axes.minorticks_off()
    if panel.log:
        axes.set_yscale("log")
        label_log(axes.yaxis)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.label)


def _hue(place: int) -> dict[str, Any]:
    return {
        "color": LINES[place % len(LINES)],
        "marker": MARKERS[place % len(MARKERS)],
        "elinewidth": points(0.8),
    }


def _series_handles(
    panels: Sequence[WidthPanel], labels: Sequence[str]
) -> list[Line2D]:
    marks: list[Line2D] = []
    for place, label in enumerate(labels):
        hue = _hue(place)
        mark: Any = {"color": hue["color"], "marker": hue["marker"], "linestyle": ""}
        marks.append(Line2D([], [], label=label, **mark))
    if any(len(s.predicted) for panel in panels for s in panel.series):
        marks.append(Line2D([], [], color=DARK, label="predicted"))
    return marks


def _draw_runs(axes: Axes, panel: Scaling, colours: dict[str, Any]) -> None:
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


def _run_handles(colours: dict[str, Any], panels: Sequence[Scaling]) -> list[Line2D]:
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
