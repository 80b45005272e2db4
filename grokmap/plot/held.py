"""Times to grok against the norm at which weights are held."""

from __future__ import annotations

from collections.abc import Mapping
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
from grokmap.plot.lines import DARK, MARKERS, T_GROK
from grokmap.plot.style import PAPER, Look, styled
from grokmap.plot.ticks import label_log


def held_times(
    runs: pd.DataFrame,
    published: Mapping[float, float],
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """A mark a run, times on a log axis; a line through the published medians.

    runs: rho, the norm held over that of free runs that grok, and t_grok in steps.
    published: the same, median t_grok by rho.
    """
    mark: dict[str, Any] = {"color": LINES[0], "marker": MARKERS[0], "linestyle": ""}
    theirs = np.array(sorted(published.items()))
    with styled(look):
        figure = blank(look, 0.6 * look.ems + 3.0)
        (axes,) = panels_of(figure, 1, 1)
        axes.plot(theirs[:, 0], theirs[:, 1], color=DARK)
        axes.plot(runs["rho"], runs["t_grok"], **mark)
        axes.set_yscale("log")
        label_log(axes.yaxis)
        axes.set_xlabel(r"norm held $\rho$, over that at which free runs grok")
        axes.set_ylabel(f"{T_GROK} (steps)")
        entitle([axes], [""], look.ems - 3.0)
        marks = [
            Line2D([], [], label="runs", **mark),
            Line2D([], [], color=DARK, label="published medians"),
        ]
        legend_above(figure, look, marks)
        return finished(figure, look, caption)
