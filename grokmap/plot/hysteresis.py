"""Loops of ramped runs, and their areas against the ramp rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.arrays import Floats
from grokmap.plot.figure import (
    Figure,
    blank,
    finished,
    legend_above,
    letter,
    say_nothing,
    wrapped,
)
from grokmap.plot.names import NO_BREAK, place_words
from grokmap.plot.style import COLOURS, PAPER, Look, points, styled
from grokmap.plot.ticks import label_linear, label_log, most_below, number

UP, DOWN = COLOURS["grok"], COLOURS["memorize-only"]
# Of families: Okabe and Ito's colours, each with a marker of its own.
LINES = ("#000000", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#0072B2")
MARKERS = "osD^vP"


class Branches(NamedTuple):
    """A loop as it is drawn: [k] weight_decay, up and down."""

    weight_decay: Floats
    up: Floats
    down: Floats


SMALLEST, HIGH = 10.0, 9.0  # width and height of a panel in letters


def hysteresis_loops(
    runs: pd.DataFrame,
    loops: Mapping[str, Branches],
    rates: pd.DataFrame,
    family: Sequence[str],
    label: str,
    look: Look = PAPER,
    caption: str = "",
) -> Figure:
    """Rows of panels a family, one panel a ramp rate; below, area against rate.

    Args:
      runs: one row a run: run_id, the columns of `family`, ramp_steps.
      loops: by run_id; rates: `hysteresis.by_rate`; label: of the quantity.
    """
    groups = list(runs.groupby(list(family), dropna=False))
    steps = sorted(runs["ramp_steps"].unique())
    columns = min(len(steps), look.columns(SMALLEST))
    rows, ems = -(-len(steps) // columns), look.ems / columns
    heights = [HIGH] * (rows * len(groups)) + [2.4 * HIGH]
    with styled(look):
        figure = blank(look, sum(heights) + 2.2 * rows * len(groups) + 9.0)
        grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
        panels, titles = [], []
        for i, (key, group) in enumerate(groups):
            name = _name(dict(zip(family, key, strict=True)))
            own = _row(figure, grid, range(i * rows, (i + 1) * rows), len(steps))
            for j, (axes, ramp) in enumerate(zip(own, steps, strict=True)):
                ids = group[group["ramp_steps"] == ramp]["run_id"]
                _draw_loops(axes, ids, loops, most_below(ems - 3))
                if j % columns == 0:
                    axes.set_ylabel(label)
                else:
                    axes.tick_params(labelleft=False)
                if i == len(groups) - 1 and j + columns >= len(steps):
                    axes.set_xlabel(r"$\lambda$")
                words = f"{number(ramp)} steps".replace(" ", NO_BREAK)
                titles.append(f"{name}\n{words}" if j == 0 else f"\n{words}")
            panels += own
        bottom = figure.add_subplot(grid[-1, :])
        _draw_areas(bottom, rates, family, label)
        for axes, title, i in zip(panels, titles, range(len(panels)), strict=True):
            axes.set_title(_lettered(title, i), loc="left")
        last = f"{letter(len(panels))} loop area, median and quartiles of the seeds"
        bottom.set_title(wrapped(last, look.ems - 4), loc="left")
        legend_above(figure, look, _handles())
        return finished(figure, look, caption)


def _row(figure: Figure, grid: Any, rows: range, count: int) -> list[Any]:
    """The panels of a family, which share their axes."""
    places = [(row, column) for row in rows for column in range(grid.ncols)]
    first: Any = None
    panels = []
    for row, column in places[:count]:
        axes = figure.add_subplot(grid[row, column], sharex=first, sharey=first)
        first = first or axes
        panels.append(axes)
    return panels


def _lettered(title: str, i: int) -> str:
    """The family above the first panel of its row; the letter before the ramp."""
    name, _, ramp = title.partition("\n")
    words = f"{letter(i)} {ramp}"
    return f"{name}\n{words}" if name else words


def _draw_loops(
    axes: Any, ids: Sequence[str], loops: Mapping[str, Branches], most: int
) -> None:
    for run_id in ids:
        loop = loops[run_id]
        style: Any = {"linewidth": points(0.8), "alpha": 0.7}
        axes.plot(loop.weight_decay, loop.up, color=UP, **style)
        axes.plot(loop.weight_decay, loop.down, color=DOWN, linestyle="--", **style)
    if not len(ids):
        say_nothing(axes, "no such run", 8)
    axes.set_xscale("log")
    label_log(axes.xaxis, most)
    label_linear(axes.yaxis, 3)


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=UP, label=r"$\lambda$ rising"),
        Line2D([], [], color=DOWN, linestyle="--", label=r"$\lambda$ falling"),
    ]


def _draw_areas(
    axes: Any, rates: pd.DataFrame, family: Sequence[str], label: str
) -> None:
    for i, (key, group) in enumerate(rates.groupby(list(family), dropna=False)):
        group = group.sort_values("ramp_rate").dropna(subset="area")
        if group.empty:  # all of them diverged
            continue
        middle = group["area"].to_numpy()
        spread = np.abs(group[["area_q25", "area_q75"]].to_numpy().T - middle)
        axes.errorbar(
            group["ramp_rate"],
            middle,
            spread,
            color=LINES[i % len(LINES)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=points(3.5),
            linewidth=points(1),
            capsize=points(2),
            label=_name(dict(zip(family, key, strict=True))),
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    label_log(axes.xaxis)
    label_log(axes.yaxis)
    axes.set_xlabel(r"ramp rate $|\mathrm{d}\ln\lambda\,/\,\mathrm{d}t|$ (per step)")
    axes.set_ylabel(rf"$\oint$ {label} d$\,\ln\lambda$")
    axes.legend(loc="best", frameon=True, framealpha=0.8, edgecolor="none")


def _name(key: Mapping[str, Any]) -> str:
    """A family in words: from where to where, and what else tells it."""
    start = key["weight_decay"]
    others = {
        name: value
        for name, value in key.items()
        if name not in ("weight_decay", "ramp_factor") and pd.notna(value)
    }
    ends = rf"$\lambda$ {number(start)} to {number(start * key['ramp_factor'])}"
    return ", ".join(
        [ends.replace(" ", NO_BREAK), *filter(None, [place_words(others)])]
    )


def loop_table(
    runs: pd.DataFrame, loops: Mapping[str, Branches], family: Sequence[str]
) -> pd.DataFrame:
    """What the panels show: a row for each run and weight decay."""
    parts = []
    for row in runs.to_dict("records"):
        loop = loops[row["run_id"]]
        part = pd.DataFrame({"lambda": loop.weight_decay, "up": loop.up})
        part["down"] = loop.down
        for name in reversed(["run_id", "seed", *family, "ramp_steps", "ramp_rate"]):
            part.insert(0, name, row[name])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
