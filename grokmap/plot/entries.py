"""The legend of the phase diagram, and the marks that it shares with the panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from grokmap.arrays import Floats
from grokmap.plot.cells import Cells, boundary, leaves_gaps
from grokmap.plot.style import NO_VALUE, Phases, points

NOT_RUN = "not run"
HATCH = "////"  # of cells that their budget left undecided
RING: dict[str, Any] = {
    **{"linestyle": "none", "marker": "o"},
    **{"markerfacecolor": "white", "markeredgecolor": "black"},
}


BOUNDS = (("high", 8), ("low", 9))  # 8, 9: carets to the left, right


THEORY = "#CC79A7"  # reddish purple: no phase and no measured line has it


class TheoryLine(NamedTuple):
    """A line that a theory draws in a plane: places x [k], y [k], NaN where it has
    none, and what it is."""

    label: str
    x: Floats
    y: Floats
    dotted: bool = False


def theory_style(line: TheoryLine) -> dict[str, Any]:
    """Dashed or dotted, with a white rim that tells it from what it lies on."""
    rim = [Stroke(linewidth=points(2.6), foreground="white"), Normal()]
    look = {"color": THEORY, "linestyle": ":" if line.dotted else "--"}
    return {**look, "linewidth": points(1.6), "path_effects": rim}


def theory_entries(lines: Sequence[TheoryLine]) -> list[Line2D]:
    """One of each label."""
    first = {line.label: line for line in reversed(lines)}
    return [
        Line2D([], [], label=label, **theory_style(line))
        for label, line in reversed(first.items())
    ]


def bounds_of(edges: pd.DataFrame, end: str) -> pd.DataFrame:
    return edges[edges["estimate"].isna() & np.isfinite(edges[end])]


def edge_style() -> dict[str, Any]:
    """Of measured edges: black, told from what they lie on by a white rim."""
    rim = {"markeredgecolor": "white", "markeredgewidth": points(0.5)}
    return {"color": "black", "elinewidth": points(0.9), **rim}


def entries(
    shown: Sequence[Cells],
    edges: Sequence[pd.DataFrame],
    phases: Phases,
    none: str,
) -> list[Any]:
    """The entries of the legend: what is drawn, and nothing else.

    shown: the cells of each panel; edges: what is measured in those that have any;
    none: what a cell without a value is.
    """
    table = pd.concat([cells.table for cells in shown])
    handles: list[Any] = _phase_patches(table, phases)
    if (table["censored"] >= 0.5).any():
        look: Any = {"facecolor": "white", "edgecolor": "#333333", "hatch": HATCH}
        handles.append(Patch(label="undecided (censored)", **look, linewidth=0))
    if table["shade"].isna().any():
        handles.append(Patch(facecolor=NO_VALUE, label=none))
    if any(leaves_gaps(c.table, (c.x_log, c.y_log)) for c in shown):
        outline: Any = {"edgecolor": "#808080", "linewidth": points(0.4)}
        handles.append(Patch(facecolor="white", label=NOT_RUN, **outline))
    if (table["partial"] > 0).any():
        ring = Line2D([], [], label="came to rest halfway", **RING, ms=points(3))
        handles.append(ring)
    if any(boundary(cells.table) for cells in shown):
        width = points(1.4)
        handles.append(
            Line2D([], [], color="black", linewidth=width, label="P(grok) = ½")
        )
    return handles + _edge_handles(edges)


def _phase_patches(table: pd.DataFrame, phases: Phases) -> list[Patch]:
    """The colours of the cells; a pale one where some of the seeds generalise."""
    none = table["p_grok"] == 0
    drawn = {*table.loc[none, "phase"], *table.loc[~none, "top"]}
    handles = [
        Patch(facecolor=colour, label=name)
        for name, colour in phases.colours.items()
        if name in drawn
    ]
    for name in phases.grokked:
        pale = (table["p_grok"] < 1) & (table["top"] == name)
        if pale.any():
            red, green, blue = ((1 + c) / 2 for c in to_rgb(phases.colours[name]))
            half = (red, green, blue)
            handles.append(Patch(facecolor=half, label=f"{name} in a share of seeds"))
    return handles


def _edge_handles(edges: Sequence[pd.DataFrame]) -> list[Line2D]:
    handles = []
    style: Any = edge_style()
    style["linewidth"] = style.pop("elinewidth")
    if any(table["estimate"].notna().any() for table in edges):
        label = "edge, 95% interval"
        handles.append(Line2D([], [], marker="o", ms=points(2.6), label=label, **style))
    if any(len(bounds_of(table, end)) for table in edges for end, _ in BOUNDS):
        style |= {"linestyle": "none", "marker": 8, "ms": points(4.5)}
        handles.append(Line2D([], [], label="edge lies that way", **style))
    return handles
