"""A loss against the learning rate, a line a width: is the best rate the same?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.figure import Figure, blank, entitle, finished, legend_above
from grokmap.plot.names import axis_words, place_words
from grokmap.plot.style import PAPER, Look, points, styled
from grokmap.plot.ticks import label_log, most_below

SMALLEST = 24.0  # width of a panel in letters


class RatePanel(NamedTuple):
    """One panel.

    curves: width, learning_rate, value. best: width, learning_rate, value at the best
    rate of each width that has one. label: of the value.
    """

    title: str
    label: str
    curves: pd.DataFrame
    best: pd.DataFrame


def rate_curves(
    panels: Sequence[RatePanel], look: Look = PAPER, caption: str = ""
) -> Figure:
    """Panels on log axes, widths dark to light, a diamond at each best rate.

    Panels of one label share their vertical axis, and stand side by side where there is
    room for two.
    """
    columns = min(2, look.columns(SMALLEST))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    widths = sorted({int(n) for panel in panels for n in panel.curves["width"]})
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(widths)))
    shades = dict(zip(widths, colours, strict=True))
    with styled(look):
        figure = blank(look, (0.6 * ems + 2.0) * rows + 5.0)
        places = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, panel in zip(places, panels, strict=True):
            _draw(axes, panel, shades)
            label_log(axes.xaxis, most_below(ems - 4))
            label_log(axes.yaxis)
        _share(places, panels)
        entitle(places, [panel.title for panel in panels], ems - 3)
        lines = [
            Line2D([], [], color=shade, label=place_words({"width": width}))
            for width, shade in shades.items()
        ]
        legend_above(figure, look, lines)
        return finished(figure, look, caption)


def _draw(axes: Any, panel: RatePanel, shades: dict[int, Any]) -> None:
    for width, own in panel.curves.groupby("width"):
        own = own.sort_values("learning_rate")
        axes.plot(own["learning_rate"], own["value"], color=shades[int(str(width))])
    for row in panel.best.to_dict("records"):
        shade, size = shades[int(row["width"])], points(5.0)
        place = ([row["learning_rate"]], [row["value"]])
        axes.plot(*place, "D", color=shade, ms=size, mec="white", mew=points(0.6))
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel(axis_words("learning_rate"))
    axes.set_ylabel(panel.label)


def _share(places: Sequence[Any], panels: Sequence[RatePanel]) -> None:
    """One vertical range for all panels of a label."""
    for label in {panel.label for panel in panels}:
        own = [a for a, p in zip(places, panels, strict=True) if p.label == label]
        low = min(axes.get_ylim()[0] for axes in own)
        high = max(axes.get_ylim()[1] for axes in own)
        for axes in own:
            axes.set_ylim(low, high)
