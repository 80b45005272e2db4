"""Forecasts of t_grok against the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from grokmap.arrays import Floats
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    say_nothing,
)
from grokmap.plot.names import NO_BREAK, by_number, system_words
from grokmap.plot.style import COLOURS, NEUTRAL, PAPER, Look, area, points, styled
from grokmap.plot.ticks import fraction, label_log, most_below, round_powers

T_GROK = r"$t_{\mathrm{grok}}$"


SMALLEST = 14.0  # width of a panel in letters


def forecast_panels(
    known: pd.DataFrame, systems: pd.Series, look: Look = PAPER, caption: str = ""
) -> Figure:
    """Forecast and interval over the true t_grok: a panel a cut, a row a system.

    known: `forecast.hindcasts`; systems: [rows of known] the system of each in words.
      Intervals that miss are orange; crosses: the baseline.
    """
    cuts = list(dict.fromkeys(known["cut"]))
    names = sorted(systems.unique(), key=by_number)
    most = look.columns(SMALLEST)
    columns = len(cuts) if len(cuts) <= most else max(1, min(most, -(-len(cuts) // 2)))
    cells = [(name, cut) for name in names for cut in cuts]
    ems = look.ems / columns
    # A system begins a new row.
    rows = len(names) * -(-len(cuts) // columns)
    with styled(look):
        figure = blank(look, rows * (0.75 * ems + 4.0) + 6.0)
        grid: Any = figure.subplots(
            rows, columns, sharex=True, sharey=True, squeeze=False
        )
        panels = grid.reshape(len(names), -1)
        for unused in panels[:, len(cuts) :].flat:
            unused.remove()
        shown = list(panels[:, : len(cuts)].flat)
        titles = []
        for axes, (name, cut) in zip(shown, cells, strict=True):
            part = known[(known["cut"] == cut) & (systems == name)]
            _panel(axes, part)
            titles.append(_title(part, cut, name if len(names) > 1 else ""))
        _scales(grid[0, 0], known, most_below(ems - 5))
        entitle(shown, titles, ems - 2.8)
        _label(panels, len(cuts), columns)
        legend_above(figure, look, _handles(known))
        return finished(figure, look, caption)


def _label(panels: Any, n_cuts: int, columns: int) -> None:
    for i, row in enumerate(panels):
        for j, axes in enumerate(row[:n_cuts]):
            if j % columns == 0:
                axes.set_ylabel(f"forecast / {T_GROK}")
            if i == len(panels) - 1 and j + columns >= n_cuts:
                axes.set_xlabel(f"{T_GROK} (steps)")
                axes.tick_params(labelbottom=True)


def _scales(axes: Any, known: pd.DataFrame, most: int) -> None:
    """The same of all panels: as wide as all forecasts, with ticks at powers of 2."""
    axes.set_xscale("log")
    label_log(axes.xaxis, most)
    axes.set_yscale("log", base=2)
    ratios = [known[name] / known["t_grok"] for name in ENDS]
    low, high = min(r.min() for r in ratios), max(r.max() for r in ratios)
    axes.set_ylim(min(low, 0.5) / 1.2, max(high, 2.0) * 1.2)
    ticks = round_powers(*axes.get_ylim())
    axes.set_yticks(ticks, labels=[fraction(tick) for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())


def _panel(axes: Any, rows: pd.DataFrame) -> None:
    if len(rows):
        _draw(axes, rows)
    else:
        say_nothing(axes, "no such run")


def _title(rows: pd.DataFrame, cut: str, name: str) -> str:
    where = str(cut).replace("t_grok", T_GROK).replace(" ", NO_BREAK)
    parts = [system_words(name)] if name else []
    parts.append(f"cut at {where}".replace(" ", NO_BREAK))
    if len(rows):
        share = f"{rows['inside'].mean():.0%} of {len(rows)} inside"
        parts.append(share.replace(" ", NO_BREAK))
    return "\n".join(parts)


def _handles(known: pd.DataFrame) -> list[Any]:
    """What is drawn: dots with intervals that hold or miss, and what they are over."""
    mark: Any = {"marker": "o", "markersize": points(2.4), "linewidth": points(0.6)}
    handles: list[Any] = [
        Line2D([], [], color=COLOURS[colour], label=label, **mark)
        for inside, (colour, label) in SIDES.items()
        if (known["inside"] == inside).any()
    ]
    cross: Any = {"linestyle": "none", "marker": "x", "markersize": points(2.6)}
    handles.append(Line2D([], [], color=NEUTRAL, label="baseline", **cross))
    if known["fraction"].notna().any():
        line: Any = {"color": "black", "linestyle": ":", "linewidth": points(0.6)}
        handles.append(Line2D([], [], label="the cut", **line))
    return handles


SIDES = {
    True: ("grok", "80% interval holds the answer"),
    False: ("memorize-only", "80% interval misses it"),
}
ENDS = ("t_grok_low", "t_grok_high", "t_grok_median", "baseline")


def _draw(axes: Any, rows: pd.DataFrame) -> None:
    true = rows["t_grok"]
    crosses: Any = {"marker": "x", "color": NEUTRAL, "linewidths": points(0.6)}
    axes.scatter(true, rows["baseline"] / true, s=area(7), **crosses)
    for inside, (colour, _) in SIDES.items():
        part = rows[rows["inside"] == inside]
        axes.errorbar(
            part["t_grok"],
            part["t_grok_median"] / part["t_grok"],
            yerr=_bars(part),
            fmt="o",
            markersize=points(2),
            elinewidth=points(0.6),
            color=COLOURS[colour],
        )
    axes.axhline(1, color="black", linewidth=points(0.6))
    for share in rows["fraction"].dropna().unique():
        axes.axhline(share, color="black", linewidth=points(0.6), linestyle=":")


def _bars(part: pd.DataFrame) -> Floats:
    """[2, k] lengths of the bars below and above the median."""
    middle, true = part["t_grok_median"], part["t_grok"]
    low, high = middle - part["t_grok_low"], part["t_grok_high"] - middle
    return np.array([low / true, high / true])
