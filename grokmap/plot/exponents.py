"""Exponents of several systems, a row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from grokmap.plot.lines import MARKERS, T_GROK
from grokmap.plot.names import axis_words
from grokmap.plot.style import NEUTRAL, PAPER, Look, styled
from grokmap.plot.ticks import label_linear

SMALLEST = 26.0  # width of a panel in letters


def exponent_rows(
    table: pd.DataFrame,
    look: Look = PAPER,
    caption: str = "",
    expected: Mapping[str, float] | None = None,
) -> Figure:
    """A row for each system with its intervals, a panel for each axis; the exponents of
    t_grok itself, below 0 where it falls.

    table: rows of `analysis.exponents` (axis, exponent, low, high) with task and
      network. expected: what a law says of an axis, a dotted line.
    """
    systems = list(dict.fromkeys(zip(table["network"], table["task"], strict=True)))
    looks = list(zip(dict.fromkeys(table["network"]), LINES, MARKERS, strict=False))
    names = list(dict.fromkeys(table["axis"]))
    columns = min(len(names), look.columns(SMALLEST))
    rows = -(-len(names) // columns)
    with styled(look):
        figure = blank(look, rows * (1.4 * len(systems) + 5.0) + 4.0)
        panels = panels_of(figure, len(names), columns, sharey=True)
        for axes, name in zip(panels, names, strict=True):
            _draw(axes, table[table["axis"] == name], systems, looks)
            if expected and name in expected:
                axes.axvline(expected[name], color=NEUTRAL, linestyle=":")
        panels[0].set_yticks(np.arange(len(systems)), labels=[t for _, t in systems])
        panels[0].set_ylim(len(systems) - 0.4, -0.6)
        titles = [f"in {axis_words(name)}" for name in names]
        entitle(panels, titles, look.ems / columns - 6.0)
        legend_above(figure, look, [_handle(*one) for one in looks])
        return finished(figure, look, caption)


def _draw(
    axes: Any,
    rows: pd.DataFrame,
    systems: Sequence[tuple[str, str]],
    looks: Sequence[tuple[str, str, str]],
) -> None:
    axes.grid(axis="y", color="#EEEEEE", zorder=0)
    for network, colour, marker in looks:
        own = rows[rows["network"] == network]
        places = [systems.index((network, task)) for task in own["task"]]
        axes.hlines(places, -own["high"], -own["low"], color=colour)
        axes.plot(-own["exponent"], places, marker, color=colour, zorder=3)
    axes.set_xlabel(f"exponent of {T_GROK}")
    label_linear(axes.xaxis, 5)


def _handle(network: str, colour: str, marker: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, label=network)
