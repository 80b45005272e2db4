"""Order parameters through the transition, runs aligned at their t_grok."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokmap.arrays import Floats
from grokmap.plot.figure import Figure
from grokmap.plot.hysteresis import LINES
from grokmap.plot.style import COLOURS, styled
from grokmap.plot.ticks import label_log

COLUMNS = 4
GREYS = ("#555555", "#999999")
DASHES = ("-", "--", ":", "-.")
FEWEST = 0.5  # share of the runs that must have a value for it to be drawn


class Panel(NamedTuple):
    """One quantity: axis label, log scale, and by system [runs, times] values, NaN
    where none."""

    label: str
    log: bool
    values: Mapping[str, Floats]


def transition_panels(
    panels: Mapping[str, Panel], times: Floats, moves: pd.DataFrame
) -> Figure:
    """One panel a quantity: median over runs and the band between the quartiles.

    Args:
      panels: by name of the quantity.
      times: [k] steps over t_grok.
      moves: quantity, system and t_half_over_t_grok, which is marked.
    """
    rows = -(-len(panels) // COLUMNS)
    systems = list(dict.fromkeys(k for p in panels.values() for k in p.values))
    with styled():
        size = (1.85 * COLUMNS, 1.45 * rows + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True).ravel()
        for axes, (name, panel) in zip(grid, panels.items(), strict=False):
            _draw(axes, panel, times, moves[moves["quantity"] == name], systems)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[max(0, len(panels) - COLUMNS) : len(panels)]:
            axes.set_xlabel(r"step $/\ t_{\mathrm{grok}}$")
            axes.tick_params(labelbottom=True)
        grid[0].set_xscale("log")
        label_log(grid[0].xaxis)
        _legend(figure, systems)
        grid[0].set_xlim(times[0], times[-1])
    return figure


def _legend(figure: Figure, systems: Sequence[str]) -> None:
    """What the lines are; of several systems in grey, and below their colours."""
    one = len(systems) == 1
    colour, half = (COLOURS["grok"], COLOURS["memorize-only"]) if one else GREYS
    t_grok: Any = {"linestyle": "--", "linewidth": 0.8, "label": r"$t_{\mathrm{grok}}$"}
    handles: list[Any] = [
        Line2D([], [], color=colour, linewidth=1.1, label="median of the runs"),
        Patch(facecolor=colour, alpha=0.25, label="quartiles"),
        Line2D([], [], color="black", **t_grok),
        Line2D([], [], color=half, linewidth=0.9, label="half of the way"),
    ]
    places: Any = {"loc": "outside upper center", "ncols": 4, "frameon": False}
    figure.legend(handles=handles, fontsize=7, **places)
    if not one:
        lines = [
            Line2D([], [], color=_colour(i), linestyle=_dashes(i), label=name)
            for i, name in enumerate(systems)
        ]
        places = {"loc": "outside lower center", "ncols": 3, "frameon": False}
        figure.legend(handles=lines, fontsize=6, **places)


def _colour(i: int) -> str:
    return LINES[i % len(LINES)]


def _dashes(i: int) -> Any:
    """As many systems as colours, then the same colours with other dashes."""
    return DASHES[i // len(LINES) % len(DASHES)]


def transition_table(panels: Mapping[str, Panel], times: Floats) -> pd.DataFrame:
    """What `transition_panels` draws: a row for each quantity and time; of several
    systems for each of them."""
    several = len({name for panel in panels.values() for name in panel.values}) > 1
    parts = []
    for name, panel in panels.items():
        for system, values in panel.values.items():
            drawn, (low, middle, high) = _quartiles(values, times)
            columns = {"time": drawn, "q25": low, "median": middle, "q75": high}
            part = pd.DataFrame(columns)
            if several:
                part.insert(0, "system", system)
            part.insert(0, "quantity", name)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _quartiles(values: Floats, times: Floats) -> tuple[Floats, Floats]:
    """The times at which enough runs have a value, and [3, those] quartiles."""
    drawn = np.isfinite(values).mean(axis=0) >= FEWEST
    quartiles = np.nanpercentile(values[:, drawn], (25, 50, 75), axis=0)
    return times[drawn], quartiles


def _draw(
    axes: Any, panel: Panel, times: Floats, moves: pd.DataFrame, systems: Sequence[str]
) -> None:
    halves = moves.set_index("system")["t_half_over_t_grok"]
    one = len(systems) == 1
    for name, values in panel.values.items():
        drawn, (low, middle, high) = _quartiles(values, times)
        i = systems.index(name)
        colour = COLOURS["grok"] if one else _colour(i)
        axes.fill_between(drawn, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.plot(drawn, middle, color=colour, linewidth=1.1, linestyle=_dashes(i))
        if np.isfinite(half := halves.get(name, np.nan)):
            half_colour = COLOURS["memorize-only"] if one else colour
            axes.axvline(half, color=half_colour, linewidth=0.9)
        if panel.log and np.any(middle > 0):
            axes.set_yscale("log")
            label_log(axes.yaxis)
    axes.axvline(1, color="black", linestyle="--", linewidth=0.8)
    axes.set_title(panel.label, fontsize=7, pad=3)
    axes.tick_params(labelsize=6, which="both")
