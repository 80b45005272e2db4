"""Numbers against the width, and what theory says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.lines import Line2D

from grokmap.arrays import Floats
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    panels_of,
)
from grokmap.plot.hysteresis import LINES
from grokmap.plot.lines import DARK, MARKERS
from grokmap.plot.style import PAPER, Look, points, styled
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
    columns = min(len(panels), look.columns(SMALLEST))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    labels = list(dict.fromkeys(s.label for panel in panels for s in panel.series))
    with styled(look):
        figure = blank(look, rows * (0.75 * ems + 4.0) + 4.0)
        places = panels_of(figure, len(panels), columns)
        for axes, panel in zip(places, panels, strict=True):
            _draw(axes, panel, labels, ems)
        entitle(places, [panel.title for panel in panels], ems - 4)
        legend_above(figure, look, _handles(panels, labels))
        return finished(figure, look, caption)


def _draw(axes: Any, panel: WidthPanel, labels: Sequence[str], ems: float) -> None:
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


def _handles(panels: Sequence[WidthPanel], labels: Sequence[str]) -> list[Any]:
    marks: list[Any] = []
    for place, label in enumerate(labels):
        hue = _hue(place)
        mark = {"color": hue["color"], "marker": hue["marker"], "linestyle": ""}
        marks.append(Line2D([], [], label=label, **mark))
    if any(len(s.predicted) for panel in panels for s in panel.series):
        marks.append(Line2D([], [], color=DARK, label="predicted"))
    return marks
