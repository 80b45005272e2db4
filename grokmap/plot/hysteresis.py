"""Loops of ramped runs, and their areas against the ramp rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd

from grokmap.arrays import Floats
from grokmap.plot.figure import Figure
from grokmap.plot.style import COLOURS, styled
from grokmap.plot.ticks import label_log
from grokmap.spec.axis import word

UP, DOWN = COLOURS["grok"], COLOURS["memorize-only"]
# Of families: Okabe and Ito's colours, each with a marker of its own.
LINES = ("#000000", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#0072B2")
MARKERS = "osD^vP"


class Branches(NamedTuple):
    """A loop as it is drawn: [k] weight_decay, up and down."""

    weight_decay: Floats
    up: Floats
    down: Floats


def hysteresis_loops(
    runs: pd.DataFrame,
    loops: Mapping[str, Branches],
    rates: pd.DataFrame,
    family: Sequence[str],
    label: str,
) -> Figure:
    """A row of panels a family, one panel a ramp rate; below, area against rate.

    Args:
      runs: one row a run: run_id, the columns of `family`, ramp_steps.
      loops: by run_id; rates: `hysteresis.by_rate`; label: of the quantity.
    """
    groups = list(runs.groupby(list(family), dropna=False))
    steps = sorted(runs["ramp_steps"].unique())
    with styled():
        size = (max(4.5, 1.25 * len(steps) + 0.9), 1.25 * len(groups) + 3.0)
        figure = Figure(figsize=size, layout="constrained")
        halves: Any = figure.subfigures(2, 1, height_ratios=[1.25 * len(groups), 2.6])
        top, bottom = halves
        grid = top.subplots(
            len(groups), len(steps), squeeze=False, sharey=True, sharex="row"
        )
        for i, (key, group) in enumerate(groups):
            for j, ramp in enumerate(steps):
                axes = grid[i, j]
                _draw_loops(axes, group[group["ramp_steps"] == ramp]["run_id"], loops)
                if i == 0:
                    axes.set_title(f"{ramp:g} steps up", fontsize=7, pad=3)
            name = _name(dict(zip(family, key, strict=True)))
            grid[i, 0].set_ylabel(f"{name}\n{label}", fontsize=7)
        middle = grid[-1, (len(steps) - 1) // 2]
        middle.set_xlabel(r"weight decay $\lambda$")
        _legend(top)
        _draw_areas(bottom, rates, family, label)
    return figure


def _draw_loops(axes: Any, ids: Sequence[str], loops: Mapping[str, Branches]) -> None:
    for run_id in ids:
        loop = loops[run_id]
        style = {"linewidth": 0.8, "alpha": 0.7}
        axes.plot(loop.weight_decay, loop.up, color=UP, **style)
        axes.plot(loop.weight_decay, loop.down, color=DOWN, linestyle="--", **style)
    axes.set_xscale("log")
    label_log(axes.xaxis)
    axes.tick_params(labelsize=6, which="both")


def _legend(figure: Any) -> None:
    lines = [
        mpl.lines.Line2D([], [], color=UP, label=r"$\lambda$ rising"),
        mpl.lines.Line2D(
            [], [], color=DOWN, linestyle="--", label=r"$\lambda$ falling"
        ),
    ]
    figure.legend(handles=lines, loc="outside upper right", ncols=2, frameon=False)


def _draw_areas(
    figure: Any, rates: pd.DataFrame, family: Sequence[str], label: str
) -> None:
    axes = figure.subplots()
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
            markersize=4,
            linewidth=1,
            capsize=2,
            label=_name(dict(zip(family, key, strict=True))),
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    label_log(axes.xaxis)
    label_log(axes.yaxis)
    axes.set_xlabel(r"ramp rate $|\mathrm{d}\ln\lambda\,/\,\mathrm{d}t|$ (per step)")
    axes.set_ylabel("loop area, quartiles\n" + rf"$\oint$ {label} d$\,\ln\lambda$")
    axes.legend(fontsize=6.5)


def _name(key: Mapping[str, Any]) -> str:
    """A family in words: from where to where, and what else tells it."""
    start = key["weight_decay"]
    others = [
        f", {name} {word(value)}"
        for name, value in key.items()
        if name not in ("weight_decay", "ramp_factor") and pd.notna(value)
    ]
    return rf"$\lambda$ {start:g} to {start * key['ramp_factor']:g}" + "".join(others)


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
