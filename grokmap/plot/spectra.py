"""Singular values of a matrix along a run, beside the bulk of noise of their level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokmap.arrays import Floats
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    panels_of,
    say_nothing,
)
from grokmap.plot.lines import T_GROK, T_MEM
from grokmap.plot.style import COLOURS, NEUTRAL, PAPER, Look, points, styled
from grokmap.plot.ticks import label_log, most_below

SMALLEST = 15.0  # width of a panel in letters
BULK, OUTSIDE = COLOURS["memorize-only"], COLOURS["grok"]
MOST_BINS = 24


class SpectrumPanel(NamedTuple):
    """One matrix at one step.

    values: [k] singular values; x, density: of noise of the same level, integrating to
    1; edge: beyond it values are outliers. No values: the matrix is 0.
    """

    title: str
    values: Floats
    x: Floats
    density: Floats
    edge: float


def spectrum_panels(
    panels: Sequence[SpectrumPanel], columns: int, look: Look = PAPER, caption: str = ""
) -> Figure:
    """A histogram of singular values in each panel, over the edge of the noise.

    columns: of the panels, which are given row by row; fewer where there is no room.
    """
    columns = min(columns, look.columns(SMALLEST))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.62 * ems + 3.0) + 4.0)
        places = panels_of(figure, len(panels), columns)
        for axes, panel in zip(places, panels, strict=True):
            _draw(axes, panel)
        for axes in places[-columns:]:
            axes.set_xlabel("singular value / edge")
        for axes in places[::columns]:
            axes.set_ylabel("density")
        entitle(places, [panel.title for panel in panels], ems - 3)
        legend_above(figure, look, _handles())
        return finished(figure, look, caption)


def _draw(axes: Any, panel: SpectrumPanel) -> None:
    if not len(panel.values):
        axes.set(xticks=[], yticks=[])
        say_nothing(axes, "nothing has moved")
        return
    over = panel.values / panel.edge
    inside, outside = over[over <= 1], over[over > 1]
    bins = np.linspace(0, 1, min(MOST_BINS, max(6, len(over) // 4)))
    each = np.full(len(inside), 1 / (len(over) * (bins[1] - bins[0])))
    axes.hist(inside, bins, weights=each, color=BULK, alpha=0.6)
    axes.plot(panel.x / panel.edge, panel.density * panel.edge, color=NEUTRAL)
    axes.axvline(1.0, color=NEUTRAL, linestyle=":")
    high = axes.get_ylim()[1]
    axes.vlines(outside, 0, 0.25 * high, color=OUTSIDE)
    axes.plot(outside, np.full(len(outside), 0.25 * high), "o", color=OUTSIDE)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


def _handles() -> list[Any]:
    thick = points(1.1)
    return [
        Patch(color=BULK, alpha=0.6, label="in the bulk"),
        Line2D([], [], color=OUTSIDE, marker="o", linewidth=thick, label="outliers"),
        Line2D([], [], color=NEUTRAL, linewidth=thick, label="noise of the same level"),
        Line2D([], [], color=NEUTRAL, linestyle=":", linewidth=thick, label="its edge"),
    ]


class TimesPanel(NamedTuple):
    """One network. times: weight_decay, t_mem, t_grok, t_spike (steps); a row a run."""

    title: str
    times: pd.DataFrame


def spike_times(
    panels: Sequence[TimesPanel], look: Look = PAPER, caption: str = ""
) -> Figure:
    """First spikes against t_grok, a mark a run; on the dashed line they coincide."""
    decays = sorted(set(pd.concat([p.times for p in panels])["weight_decay"]))
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.88, len(decays)))
    colours = dict(zip(decays, shades, strict=True))
    columns = min(look.columns(SMALLEST), len(panels))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.65 * ems + 3.0) + 3.0)
        places = panels_of(figure, len(panels), columns)
        for axes, panel in zip(places, panels, strict=True):
            _draw_times(axes, panel.times, colours, most_below(ems - 4))
        entitle(places, [panel.title for panel in panels], ems - 3)
        handles = [
            Line2D(
                [], [], color=shade, marker="o", linestyle="", label=f"λ = {decay:g}"
            )
            for decay, shade in colours.items()
        ]
        mark: Any = {"color": NEUTRAL, "marker": "x", "linestyle": ""}
        handles.append(Line2D([], [], label=T_MEM, **mark))
        legend_above(figure, look, handles)
        return finished(figure, look, caption)


def _draw_times(axes: Any, times: pd.DataFrame, colours: Any, most: int) -> None:
    axes.set(xscale="log", yscale="log")
    for decay, part in times.groupby("weight_decay"):
        axes.plot(part["t_grok"], part["t_spike"], "o", color=colours[decay])
    axes.plot(times["t_grok"], times["t_mem"], "x", color=NEUTRAL)
    ends = [0.8 * times["t_grok"].min(), 1.25 * times["t_grok"].max()]
    axes.plot(ends, ends, "--", color=NEUTRAL)
    axes.set_xlabel(T_GROK)
    axes.set_ylabel("first spike, step")
    label_log(axes.xaxis, most)
    label_log(axes.yaxis)
