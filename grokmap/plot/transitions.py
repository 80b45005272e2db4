"""Order parameters through the transition, runs aligned at their t_grok."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokmap.arrays import Floats
from grokmap.plot.figure import Figure
from grokmap.plot.style import COLOURS, styled
from grokmap.plot.ticks import label_log

COLUMNS = 4
FEWEST = 0.5  # share of the runs that must have a value for it to be drawn


class Panel(NamedTuple):
    """One quantity: axis label, log scale, and [runs, times] values, NaN where none."""

    label: str
    log: bool
    values: Floats


def transition_panels(
    panels: Mapping[str, Panel], times: Floats, moves: pd.DataFrame
) -> Figure:
    """One panel a quantity: median over runs and the band between the quartiles.

    Args:
      panels: by name of the quantity.
      times: [k] steps over t_grok.
      moves: `transitions.summary`; its half-way points are marked.
    """
    rows = -(-len(panels) // COLUMNS)
    halves = moves.set_index("quantity")["t_half_over_t_grok"]
    with styled():
        size = (1.85 * COLUMNS, 1.45 * rows + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True).ravel()
        for axes, (name, panel) in zip(grid, panels.items(), strict=False):
            _draw(axes, panel, times)
            half = halves.get(name, np.nan)
            if np.isfinite(half):
                axes.axvline(half, color=COLOURS["memorize-only"], linewidth=0.9)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[max(0, len(panels) - COLUMNS) : len(panels)]:
            axes.set_xlabel(r"step $/\ t_{\mathrm{grok}}$")
            axes.tick_params(labelbottom=True)
        grid[0].set_xscale("log")
        label_log(grid[0].xaxis)
        _legend(figure)
        grid[0].set_xlim(times[0], times[-1])
    return figure


def _legend(figure: Figure) -> None:
    colour = COLOURS["grok"]
    handles: list[Any] = [
        Line2D([], [], color=colour, linewidth=1.1, label="median of the runs"),
        Patch(facecolor=colour, alpha=0.25, label="quartiles"),
        Line2D(
            [],
            [],
            color="black",
            linestyle="--",
            linewidth=0.8,
            label=r"$t_{\mathrm{grok}}$",
        ),
        Line2D(
            [],
            [],
            color=COLOURS["memorize-only"],
            linewidth=0.9,
            label="half of the way",
        ),
    ]
    places: Any = {"loc": "outside upper center", "ncols": 4, "frameon": False}
    figure.legend(handles=handles, fontsize=7, **places)


def transition_table(panels: Mapping[str, Panel], times: Floats) -> pd.DataFrame:
    """What `transition_panels` draws: a row for each quantity and time."""
    parts = []
    for name, panel in panels.items():
        at, (low, middle, high) = _quartiles(panel, times)
        columns = {"time": at, "q25": low, "median": middle, "q75": high}
        part = pd.DataFrame(columns)
        part.insert(0, "quantity", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _quartiles(panel: Panel, times: Floats) -> tuple[Floats, Floats]:
    """The times at which enough runs have a value, and [3, those] quartiles."""
    drawn = np.isfinite(panel.values).mean(axis=0) >= FEWEST
    quartiles = np.nanpercentile(panel.values[:, drawn], (25, 50, 75), axis=0)
    return times[drawn], quartiles


def _draw(axes: Any, panel: Panel, times: Floats) -> None:
    drawn, (low, middle, high) = _quartiles(panel, times)
    colour = COLOURS["grok"]
    axes.fill_between(drawn, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(drawn, middle, color=colour, linewidth=1.1)
    axes.axvline(1, color="black", linestyle="--", linewidth=0.8)
    if panel.log and np.any(middle > 0):
        axes.set_yscale("log")
        label_log(axes.yaxis)
    axes.set_title(panel.label, fontsize=7, pad=3)
    axes.tick_params(labelsize=6, which="both")
