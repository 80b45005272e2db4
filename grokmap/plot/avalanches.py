"""D of avalanches over time and by phase, their distributions, and the Gini index."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Floats
from grokmap.plot.figure import Figure
from grokmap.plot.style import styled
from grokmap.plot.ticks import label_log

# Okabe and Ito's colours, the real gradients first.
COLOURS = {
    "real": "#000000",
    "gaussian": "#56B4E9",
    "weibull": "#009E73",
    "shuffled": "#D55E00",
    "shuffled_layers": "#CC79A7",
}
NAMES = {
    "real": "gradients",
    "gaussian": "i.i.d. Gaussian",
    "weibull": "i.i.d. of their tail",
    "shuffled": "shuffled",
    "shuffled_layers": "shuffled in layers",
}


class Avalanches(NamedTuple):
    """What is drawn of runs that differ in width and seed; tables as of `analysis`.

    d: the exponent by which the distributions are scaled. gini: run_id, step, n, gini.
    transitions: steps at which runs have learned.
    """

    title: str
    over_time: pd.DataFrame
    aligned: pd.DataFrame
    phases: pd.DataFrame
    distribution: pd.DataFrame
    d: float
    gini: pd.DataFrame
    transitions: Floats


def avalanche_panels(what: Avalanches) -> Figure:
    """Two rows: D over time, its excess, D in each run's own time; then phases, the
    distributions, their collapse, and the Gini index where there is one."""
    with styled():
        figure = Figure(figsize=(10.5, 5.2), layout="constrained")
        grid: Any = figure.subplots(2, 4)
        _curves(grid[0, 0], what.over_time, "step", "d", "dimension $D$")
        _window(grid[0, 0], what.transitions)
        _curves(grid[0, 1], what.over_time, "step", "excess", "$D$ - $D$ of a null")
        _curves(grid[0, 2], what.aligned, "ratio", "d", "dimension $D$")
        grid[0, 2].set_xlabel("step / step of the run's transition")
        _curves(grid[0, 3], what.aligned, "ratio", "excess", "$D$ - $D$ of a null")
        grid[0, 3].set_xlabel("step / step of the run's transition")
        for axes in grid[0, 2:]:
            axes.set_xscale("log", base=2)
        _phases(grid[1, 0], what.phases)
        _distribution(grid[1, 1], what.distribution, "s", "size $s$")
        _distribution(
            grid[1, 2], what.distribution, "scaled", f"$s / N^{{{what.d:.2f}}}$"
        )
        _gini(grid[1, 3], what.gini)
        _log_steps([grid[0, 0], grid[0, 1], grid[1, 3]], what.over_time["step"])
        handles, labels = grid[0, 0].get_legend_handles_labels()
        style: Any = {"loc": "outside upper center", "ncols": 5, "frameon": False}
        figure.legend(handles, labels, title=what.title or None, **style)
    return figure


def _curves(axes: Any, table: pd.DataFrame, x: str, value: str, label: str) -> None:
    """A line and its 95% band for each field."""
    for field, rows in table.groupby("field", sort=False):
        if rows[value].isna().all():
            continue
        colour, name = COLOURS[str(field)], NAMES[str(field)]
        axes.plot(rows[x], rows[value], color=colour, linewidth=1, label=name)
        if value == "excess" or field == "real":
            low, high = rows[f"{value}_low"], rows[f"{value}_high"]
            axes.fill_between(rows[x], low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(1 if value == "d" else 0, color="#999999", linewidth=0.6)
    axes.set_xlabel(x)
    axes.set_ylabel(label)


def _log_steps(panels: Any, steps: pd.Series) -> None:
    """Where snapshots are not evenly spaced: by the logarithm of the step."""
    spaces = np.diff(np.unique(steps))
    if len(spaces) and spaces.max() > 4 * spaces.min():
        for axes in panels:
            axes.set_xscale("symlog", linthresh=1)
            axes.set_xlim(left=0)


def _window(axes: Any, transitions: Floats) -> None:
    """Where runs learn: from the first to the last."""
    if len(transitions):
        axes.axvspan(transitions.min(), transitions.max(), color="#F0E442", alpha=0.3)


def _phases(axes: Any, phases: pd.DataFrame) -> None:
    rows = phases[phases["phase"] != "change"]
    for i, (field, part) in enumerate(rows.groupby("field", sort=False)):
        middle = part["d"].to_numpy()
        ends = np.abs(part[["d_low", "d_high"]].to_numpy().T - middle)
        x = np.arange(len(part)) + 0.12 * (i - 2)
        style = {"color": COLOURS[str(field)], "capsize": 2, "markersize": 4}
        axes.errorbar(x, middle, np.nan_to_num(ends), fmt="o", linewidth=1, **style)
    axes.axhline(1, color="#999999", linewidth=0.6)
    axes.set_xticks([0, 1], ["before", "after"])
    axes.set_xlim(-0.5, 1.5)
    axes.set_xlabel("each run's own transition")
    axes.set_ylabel("dimension $D$")


def _distribution(axes: Any, table: pd.DataFrame, x: str, label: str) -> None:
    for colour, (n, rows) in _shaded(table):
        axes.plot(rows[x], rows["ccdf"], color=colour, linewidth=1, label=f"{n}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    label_log(axes.xaxis)
    axes.set_xlabel(label)
    axes.set_ylabel("share at least as large")
    if x == "s":
        axes.legend(title="$N$", fontsize=5, title_fontsize=6)


def _gini(axes: Any, gini: pd.DataFrame) -> None:
    if gini.empty:
        axes.set_axis_off()
        return
    for colour, (_, rows) in _shaded(gini):
        mean = rows.groupby("step")["gini"].mean()
        axes.plot(mean.index, mean / mean.iloc[0], color=colour, linewidth=1)
    axes.set_xlabel("step")
    axes.set_ylabel(r"Gini of $|\theta|$ over its first")


def _shaded(table: pd.DataFrame) -> Any:
    """(colour, (N, rows)), the larger N the darker."""
    groups = list(table.groupby("n"))
    shades = np.linspace(0.75, 0.0, len(groups))
    return zip([str(shade) for shade in shades], groups, strict=True)
