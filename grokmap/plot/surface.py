"""Slices of edges that are surfaces over several axes, with their bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokmap.arrays import Floats
from grokmap.plot.cells import Plane
from grokmap.plot.diagram import label_grid
from grokmap.plot.figure import Figure, blank, entitle, finished, legend_above
from grokmap.plot.names import axis_label, value_words
from grokmap.plot.style import PAPER, Look, Phases, points, styled
from grokmap.plot.ticks import label_linear, label_log, most_below

SMALLEST = 15.0  # width of a panel in letters
MOST = 3  # panels side by side
EDGE, TOGETHER, ALONE = "#000000", "#DCE6EE", "#9FBED3"


class Slice(NamedTuple):
    """One plane of a surface.

    x, y: [nx], [ny] values of its axes, y numbers or names; sure: [ny, nx] by how many
    standard deviations the model says there that more than half of the plateau groks;
    runs: those near the plane, with the axes and phase.
    """

    title: str
    x: Floats
    y: Sequence[Any]
    sure: Floats
    runs: pd.DataFrame


def surface_slices(
    slices: Sequence[Slice],
    plane: Plane,
    phases: Phases,
    bands: tuple[float, float],
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """The edges in planes, where the model cannot tell the side of an edge, and the
    runs near each plane.

    bands: standard deviations up to which it cannot, of a place by itself, and of all
    places together.
    """
    columns = min(MOST, look.columns(SMALLEST), len(slices))
    rows, ems = -(-len(slices) // columns), look.ems / columns
    with styled(look):
        high = 0.8 * ems
        figure = blank(look, rows * (high + 2.5) + 9.0)
        shared: Any = {"squeeze": False, "sharex": True, "sharey": True}
        grid: Any = figure.subplots(rows, columns, **shared)
        panels = list(grid.flat)[: len(slices)]
        names = [v for v in slices[0].y if isinstance(v, (str, bool))]
        for axes, part in zip(panels, slices, strict=True):
            _draw_bands(axes, part, bands, names)
            _draw_runs(axes, part.runs, plane, phases, names)
        _scale(panels[0], plane, slices[0].x, names, ems)
        runs = pd.concat([part.runs for part in slices])
        labels = [axis_label(name, runs) for name in plane[:2]]
        label_grid(grid, len(slices), labels, high)
        entitle(panels, [part.title for part in slices], ems - 3)
        legend_above(figure, look, _handles(phases, runs))
        return finished(figure, look, caption)


def _draw_bands(
    axes: Any, part: Slice, bands: tuple[float, float], names: Sequence[Any]
) -> None:
    """A block of all rows; of names, which have nothing between them, one for each."""
    blocks = [(np.array(part.y), part.sure)]
    if names:
        blocks = [
            (np.array([i - 0.4, i + 0.4]), np.stack([row, row]))
            for i, row in enumerate(part.sure)
        ]
    for y, sure in blocks:
        for most, colour in zip(reversed(bands), (TOGETHER, ALONE), strict=True):
            if most > 0 and (np.abs(sure) < most).any():
                axes.contourf(part.x, y, sure, [-most, most], colors=[colour])
        if sure.min() < 0 < sure.max():
            width = points(1.1)
            axes.contour(part.x, y, sure, [0.0], colors=[EDGE], linewidths=width)


def _draw_runs(
    axes: Any, runs: pd.DataFrame, plane: Plane, phases: Phases, names: Sequence[Any]
) -> None:
    for phase, own in runs.groupby("phase"):
        y = own[plane.y]
        heights = y.map(names.index) if names else y
        axes.plot(own[plane.x], heights, **_dot(phases.colours[str(phase)]), zorder=3)


def _dot(colour: str) -> dict[str, Any]:
    return {
        **{"linestyle": "none", "marker": "o", "color": colour},
        **{"markersize": points(3.2), "markeredgecolor": "white"},
        "markeredgewidth": points(0.4),
        "clip_on": False,
    }


def _scale(
    axes: Any, plane: Plane, x: Floats, names: Sequence[Any], ems: float
) -> None:
    """Of all panels, which share their axes."""
    for side, log, most in (
        ("x", plane.x_log, most_below(ems - 4)),
        ("y", plane.y_log, 5),
    ):
        axis = getattr(axes, f"{side}axis")
        if side == "y" and names:
            axis.set_ticks(range(len(names)), [value_words(name) for name in names])
        elif log:
            getattr(axes, f"set_{side}scale")("log")
            label_log(axis, most)
        else:
            label_linear(axis, most)
    axes.set_xlim(x[0], x[-1])


def _handles(phases: Phases, runs: pd.DataFrame) -> list[Any]:
    seen = set(runs["phase"])
    return [
        Line2D([], [], color=EDGE, label="edge: P(grok) is half of its plateau"),
        Patch(facecolor=ALONE, label="may be on either side: a place by itself"),
        Patch(facecolor=TOGETHER, label="all places together (95%)"),
        *(
            Line2D([], [], label=name, **_dot(colour))
            for name, colour in phases.colours.items()
            if name in seen
        ),
    ]
