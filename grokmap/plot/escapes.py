"""Mean waiting times against the inverse temperature."""

from __future__ import annotations

from typing import Any

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
)
from grokmap.plot.hysteresis import LINES
from grokmap.plot.lines import DARK, MARKERS
from grokmap.plot.style import PAPER, Look, points, styled
from grokmap.plot.ticks import label_log


def escape_times(
    table: pd.DataFrame,
    barrier: float,
    attempts: float,
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """Mean times with 95% intervals, and the line exp(barrier / T) / attempts.

    table: temperature, mean, low and high, a row a temperature; an arrow up where none
    escaped (mean inf, at low).
    """
    inverse = barrier / table["temperature"].to_numpy()
    mean, low, high = (table[name].to_numpy() for name in ("mean", "low", "high"))
    seen = np.isfinite(mean)
    mark: dict[str, Any] = {
        "color": LINES[0],
        "marker": MARKERS[0],
        "linestyle": "",
    }
    with styled(look):
        figure = blank(look, 0.6 * look.ems + 3.0)
        (axes,) = panels_of(figure, 1, 1)
        ends = (array[seen] for array in (low, mean, high))
        errors = np.diff(np.stack(list(ends)), axis=0)
        bars = {**mark, "elinewidth": points(0.8)}
        axes.errorbar(inverse[seen], mean[seen], errors, **bars)
        axes.plot(inverse[~seen], low[~seen], "^", color=LINES[0])
        span = np.array([inverse.min(), inverse.max()])
        axes.plot(span, np.exp(span) / attempts, color=DARK)
        axes.set_yscale("log")
        label_log(axes.yaxis)
        axes.set_xlabel(r"barrier / $T$")
        axes.set_ylabel("mean time to escape")
        entitle([axes], [""], look.ems - 3.0)
        marks = [
            Line2D([], [], label="measured", **mark),
            Line2D([], [], color=DARK, label="Eyring and Kramers"),
        ]
        legend_above(figure, look, marks)
        return finished(figure, look, caption)
