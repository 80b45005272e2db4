"""Forecasts of t_grok against the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from grokmap.arrays import Floats
from grokmap.plot.diagram import say_nothing
from grokmap.plot.figure import Figure
from grokmap.plot.style import COLOURS, styled
from grokmap.plot.ticks import label_log

T_GROK = r"$t_{\mathrm{grok}}$"


def forecast_panels(known: pd.DataFrame, systems: pd.Series) -> Figure:
    """Forecast and interval over the true t_grok: a panel a cut, a row a system.

    known: `forecast.hindcasts`; systems: [rows of known] the system of each in words.
      Intervals that miss are orange; crosses: the baseline.
    """
    cuts, names = list(dict.fromkeys(known["cut"])), sorted(systems.unique())
    with styled():
        size = (1.9 * len(cuts) + 0.3, 2.0 * len(names) + 0.4)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(
            len(names), len(cuts), sharex=True, sharey=True, squeeze=False
        )
        for row, name in zip(grid, names, strict=True):
            for axes, cut in zip(row, cuts, strict=True):
                _panel(axes, known[(known["cut"] == cut) & (systems == name)])
            place = f"{name}\n" if len(names) > 1 else ""
            row[0].set_ylabel(f"{place}forecast / {T_GROK}")
        for axes in grid[-1]:
            axes.set_xlabel(f"{T_GROK} (steps)")
        handles, labels = _handles(grid.ravel())
        places: Any = {"loc": "outside lower center", "ncols": 3}
        figure.legend(handles, labels, **places, fontsize=7, frameon=False)
    return figure


def _panel(axes: Any, rows: pd.DataFrame) -> None:
    if len(rows):
        _draw(axes, rows)
        axes.set_title(_title(rows), fontsize=7)
    else:
        say_nothing(axes, "no such run")


def _handles(panels: Any) -> tuple[list[Any], list[str]]:
    """Of the first panel that shows something."""
    known = [axes.get_legend_handles_labels() for axes in panels]
    return next(((h, labels) for h, labels in known if h), ([], []))


def _title(rows: pd.DataFrame) -> str:
    cut = str(rows["cut"].iloc[0]).replace("t_grok", T_GROK)
    return f"cut at {cut}:\nholds {rows['inside'].mean():.0%} of {len(rows)}"


def _draw(axes: Any, rows: pd.DataFrame) -> None:
    true = rows["t_grok"]
    crosses = {"marker": "x", "color": COLOURS["no-learning"], "linewidths": 0.6}
    axes.scatter(true, rows["baseline"] / true, s=7, label="baseline", **crosses)
    for inside, colour in ((True, "grok"), (False, "memorize-only")):
        part = rows[rows["inside"] == inside]
        axes.errorbar(
            part["t_grok"],
            part["t_grok_median"] / part["t_grok"],
            yerr=_bars(part),
            fmt="o",
            markersize=2,
            elinewidth=0.6,
            color=COLOURS[colour],
            label="80% interval holds" if inside else "misses",
        )
    axes.axhline(1, color="black", linewidth=0.6)
    for fraction in rows["fraction"].dropna().unique():
        axes.axhline(fraction, color="black", linewidth=0.6, linestyle=":")
    axes.set_xscale("log")
    label_log(axes.xaxis)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")


def _bars(part: pd.DataFrame) -> Floats:
    """[2, k] lengths of the bars below and above the median."""
    middle, true = part["t_grok_median"], part["t_grok"]
    low, high = middle - part["t_grok_low"], part["t_grok_high"] - middle
    return np.array([low / true, high / true])
