"""Order parameters through the transition, runs aligned at their t_grok."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokmap.arrays import Floats
from grokmap.plot.diagram import label_grid
from grokmap.plot.figure import Figure, blank, entitle, finished, legend_above
from grokmap.plot.hysteresis import LINES
from grokmap.plot.names import system_words
from grokmap.plot.style import COLOURS, PAPER, Look, points, styled
from grokmap.plot.ticks import label_linear, label_log, most_below

COLUMNS = 4
SMALLEST = 14.5  # width of a panel in letters
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
    panels: Mapping[str, Panel],
    times: Floats,
    moves: pd.DataFrame,
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """One panel a quantity: median over runs and the band between the quartiles.

    Args:
      panels: by name of the quantity.
      times: [k] steps over t_grok.
      moves: quantity, system and t_half_over_t_grok, which is marked.
    """
    columns = min(COLUMNS, look.columns(SMALLEST), len(panels))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    systems = list(dict.fromkeys(k for p in panels.values() for k in p.values))
    with styled(look):
        figure = blank(look, rows * (0.6 * ems + 4.0) + 8.0)
        grid: Any = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axes, (name, panel) in zip(grid.flat, panels.items(), strict=False):
            _draw(axes, panel, times, moves[moves["quantity"] == name], systems)
        label_grid(grid, len(panels), [r"step $/\ t_{\mathrm{grok}}$", ""])
        shown = list(grid.flat)[: len(panels)]
        shown[0].set_xscale("log")
        label_log(shown[0].xaxis, most_below(ems - 3))
        shown[0].set_xlim(times[0], times[-1])
        entitle(shown, [panel.label for panel in panels.values()], ems - 4.5)
        halves = moves[moves["quantity"].isin([*panels])]["t_half_over_t_grok"]
        is_half = bool(np.isfinite(halves.astype(float)).any())
        legend_above(figure, look, _handles(systems, is_half))
        return finished(figure, look, caption)


def _handles(systems: Sequence[str], is_half: bool) -> list[Any]:
    """What the lines are, and of several systems the colour of each."""
    one = len(systems) == 1
    colour, half = (COLOURS["grok"], COLOURS["memorize-only"]) if one else GREYS
    thin = points(0.9)
    t_grok: Any = {"linestyle": "--", "linewidth": thin}
    handles: list[Any] = [
        Line2D([], [], color=colour, label="median of the runs"),
        Patch(facecolor=colour, alpha=0.25, label="quartiles"),
        Line2D([], [], color="black", label=r"$t_{\mathrm{grok}}$", **t_grok),
    ]
    if is_half:
        handles.append(
            Line2D([], [], color=half, linewidth=thin, label="half of the way")
        )
    if not one:
        handles += [
            Line2D([], [], color=_colour(i), linestyle=_dashes(i), label=words)
            for i, words in enumerate(map(system_words, systems))
        ]
    return handles


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
        axes.plot(drawn, middle, color=colour, linestyle=_dashes(i))
        if np.isfinite(half := halves.get(name, np.nan)):
            half_colour = COLOURS["memorize-only"] if one else colour
            axes.axvline(half, color=half_colour, linewidth=points(0.9))
        if panel.log and np.any(middle > 0):
            axes.set_yscale("log")
            label_log(axes.yaxis)
    if axes.get_yscale() == "linear":
        label_linear(axes.yaxis, 4)
    axes.axvline(1, color="black", linestyle="--", linewidth=points(0.8))
