"""When each layer has made half of its change, beside t_mem and t_grok."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.plot.figure import Figure, blank, entitle, finished, panels_of, say_nothing
from grokmap.plot.lines import TIMES
from grokmap.plot.style import COLOURS, NEUTRAL, PAPER, Look, styled
from grokmap.plot.ticks import label_log, most_below

SMALLEST = 24.0  # width of a panel in letters
COLOURS_OF_TIMES = {"t_mem": COLOURS["memorize-only"], "t_grok": COLOURS["grok"]}


class LayerPanel(NamedTuple):
    """One network.

    times: name (a layer's number, t_mem or t_grok), time, low, high in steps; NaN ends
    where no interval is known.
    """

    title: str
    times: pd.DataFrame


def layer_times(
    panels: Sequence[LayerPanel], look: Look = PAPER, caption: str = ""
) -> Figure:
    """A row for each layer, the first on top, then t_mem and t_grok, with intervals."""
    columns = min(2, look.columns(SMALLEST))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    high = 1.5 * max(len(panel.times) for panel in panels) + 3.0
    with styled(look):
        figure = blank(look, rows * (high + 2.0) + 3.0)
        places = panels_of(figure, len(panels), columns, sharex=True)
        for axes, panel in zip(places, panels, strict=True):
            _draw(axes, panel.times)
        for axes in places[-columns:]:
            axes.set_xlabel("step")
            axes.tick_params(labelbottom=True)
        label_log(places[0].xaxis, most_below(ems - 8))
        entitle(places, [panel.title for panel in panels], ems - 3)
        return finished(figure, look, caption)


def _draw(axes: Any, times: pd.DataFrame) -> None:
    axes.set_xscale("log")
    for i, row in enumerate(times.to_dict("records")):
        colour = COLOURS_OF_TIMES.get(row["name"], NEUTRAL)
        axes.plot([row["low"], row["high"]], [i, i], color=colour)
        axes.plot([row["time"]], [i], "o", color=colour)
    names = [TIMES.get(n, f"layer {n}") for n in times["name"]]
    axes.set_yticks(np.arange(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    if not times["time"].notna().any():
        say_nothing(axes, "no run groks")
