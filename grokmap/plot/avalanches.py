"""D of avalanches over time and by phase, their distributions, and the Gini index."""

from __future__ import annotations

from typing import Any, NamedTuple

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
from grokmap.plot.style import NEUTRAL, PAPER, Look, points, styled
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
WINDOW = "#F0E442"
TITLES = (
    "over time",
    "excess over nulls",
    "in own time",
    "excess, own time",
    "by phase",
    "sizes",
    "sizes, scaled",
    "Gini of weights",
)
OWN_TIME = "step / transition"
DIMENSION = "dimension $D$"
LABELS = {"d": DIMENSION, "excess": "$D$ - $D$ of the null"}
SMALLEST = 14.5  # width of a panel in letters


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


def avalanche_panels(what: Avalanches, look: Look = PAPER, caption: str = "") -> Figure:
    """D over time and its excess, both in each run's own time; then phases, the
    distributions, their collapse, and the Gini index."""
    columns = min(4, max(2, look.columns(SMALLEST)))
    rows, ems = -(-len(TITLES) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.8 * ems + 5.0) + 5.0)
        panels = panels_of(figure, len(TITLES), columns)
        d, excess, own, own_excess, phases, sizes, scaled, gini = panels
        _curves(d, what.over_time, "step", "d")
        _window(d, what.transitions)
        _curves(excess, what.over_time, "step", "excess")
        _curves(own, what.aligned, "ratio", "d")
        _curves(own_excess, what.aligned, "ratio", "excess")
        for axes in (own, own_excess):
            axes.set_xlabel(OWN_TIME)
            axes.set_xscale("log", base=2)
        _phases(phases, what.phases)
        _distribution(sizes, what.distribution, "s", "size $s$")
        _distribution(scaled, what.distribution, "scaled", f"$s / N^{{{what.d:.2f}}}$")
        _gini(gini, what.gini)
        _log_steps([d, excess, gini], what.over_time["step"])
        titles = [what.title or TITLES[0], *TITLES[1:]]
        entitle(panels, titles, ems - 4.5)
        legend_above(figure, look, _handles(what))
        return finished(figure, look, caption)


def _handles(what: Avalanches) -> list[Any]:
    """The fields that are drawn, the window, and what shades of grey are."""
    fields = [str(field) for field in what.over_time["field"].unique()]
    made: list[Any] = [
        Line2D([], [], color=COLOURS[field], label=NAMES[field]) for field in fields
    ]
    if len(what.transitions):
        made.append(Patch(color=WINDOW, alpha=0.3, label="runs learn"))
    n = np.unique(what.distribution["n"])
    return [*made, Line2D([], [], color="black", label=f"$N$ = {n.max()}, darkest")]


def _curves(axes: Any, table: pd.DataFrame, x: str, value: str) -> None:
    """A line and its 95% band for each field."""
    for field, rows in table.groupby("field", sort=False):
        if rows[value].isna().all():
            continue
        colour = COLOURS[str(field)]
        axes.plot(rows[x], rows[value], color=colour)
        if value == "excess" or field == "real":
            low, high = rows[f"{value}_low"], rows[f"{value}_high"]
            axes.fill_between(rows[x], low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(1 if value == "d" else 0, color=NEUTRAL, linewidth=points(0.6))
    axes.set_xlabel(x)
    axes.set_ylabel(LABELS[value])


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
        axes.axvspan(transitions.min(), transitions.max(), color=WINDOW, alpha=0.3)


def _phases(axes: Any, phases: pd.DataFrame) -> None:
    rows = phases[phases["phase"] != "change"]
    for i, (field, part) in enumerate(rows.groupby("field", sort=False)):
        middle = part["d"].to_numpy()
        ends = np.abs(part[["d_low", "d_high"]].to_numpy().T - middle)
        x = np.arange(len(part)) + 0.12 * (i - 2)
        style: Any = {"color": COLOURS[str(field)], "capsize": points(2)}
        axes.errorbar(x, middle, np.nan_to_num(ends), fmt="o", **style)
    axes.axhline(1, color=NEUTRAL, linewidth=points(0.6))
    axes.set_xticks([0, 1], ["before", "after"])
    axes.set_xlim(-0.5, 1.5)
    axes.set_xlabel("own transition")
    axes.set_ylabel(DIMENSION)


def _distribution(axes: Any, table: pd.DataFrame, x: str, label: str) -> None:
    for colour, (_, rows) in _shaded(table):
        axes.plot(rows[x], rows["ccdf"], color=colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    label_log(axes.xaxis, 3)
    axes.set_xlabel(label)
    axes.set_ylabel("share at least as large")


def _gini(axes: Any, gini: pd.DataFrame) -> None:
    if gini.empty:
        say_nothing(axes, "not recorded: order parameter gini")
        return
    for colour, (_, rows) in _shaded(gini):
        mean = rows.groupby("step")["gini"].mean()
        axes.plot(mean.index, mean / mean.iloc[0], color=colour)
    axes.set_xlabel("step")
    axes.set_ylabel(r"Gini of $|\theta|$ over its first")


def _shaded(table: pd.DataFrame) -> Any:
    """(colour, (N, rows)), the larger N the darker."""
    groups = list(table.groupby("n"))
    shades = np.linspace(0.75, 0.0, len(groups))
    return zip([str(shade) for shade in shades], groups, strict=True)
