"""Trajectories of a few runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.diagram import wrapped
from grokmap.plot.figure import Figure
from grokmap.plot.style import styled
from grokmap.plot.ticks import label_log


def curves(
    trajectories: pd.DataFrame,
    runs: pd.DataFrame,
    order_parameters: Mapping[str, bool] | None = None,
    titles: Sequence[str] | None = None,
) -> Figure:
    """Trajectories of a few runs, one column each, on a log time axis.

    Rows: accuracies; losses; weight norm; then a panel for each order parameter that
    has values. t_mem and t_grok are marked by vertical lines.

    Args:
      trajectories: run_id, step and quantities of the runs.
      runs: classified runs to draw, in order.
      order_parameters: those to draw, and whether on a log scale.
      titles: where each run is on the axes (default: alpha, lambda and the seed).
    """
    order_parameters = {
        name: log
        for name, log in (order_parameters or {}).items()
        if name in trajectories and trajectories[name].notna().any()
    }
    rows = 3 + len(order_parameters)
    with styled():
        size = (2.6 * len(runs) + 0.6, 1.25 * rows + 0.6)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(
            rows, len(runs), sharex="col", sharey="row", squeeze=False
        )
        for column, (_, run) in enumerate(runs.iterrows()):
            records = trajectories[trajectories["run_id"] == run["run_id"]]
            _draw_run(grid[:, column], records, run, order_parameters)
            title = _title(run) if titles is None else titles[column]
            flag = ", censored" if run["censored"] else ""
            words = f"{run['phase']}{flag}\n{wrapped(title)}"
            grid[0, column].set_title(words, fontsize=7)
        _label_curves(grid, order_parameters)
    return figure


_PAIRS = (("train_accuracy", "test_accuracy"), ("train_loss", "test_loss"))
# The quantities drawn for every run.
CURVES = (*_PAIRS[0], *_PAIRS[1], "weight_norm")


def _draw_run(
    column: Any, records: pd.DataFrame, run: pd.Series, logs: Mapping[str, bool]
) -> None:
    # A log axis has no 0: step 0 is drawn at 1/2, before step 1.
    time = records["step"].to_numpy(float).clip(0.5)
    for axes, pair in zip(column, _PAIRS, strict=False):
        for name, colour in zip(pair, ("#000000", "#D55E00"), strict=True):
            label = name.split("_")[0]
            axes.plot(time, records[name], color=colour, linewidth=1.1, label=label)
    if records["train_accuracy"].isna().all():
        words = {"ha": "center", "transform": column[0].transAxes, "fontsize": 7}
        column[0].text(0.5, 0.5, "real targets: no accuracy", **words)
    column[1].set_yscale("log")
    label_log(column[1].yaxis)
    column[2].plot(time, records["weight_norm"], color="#000000", linewidth=1.1)
    for axes, (name, log) in zip(column[3:], logs.items(), strict=True):
        known = records[records[name].notna()]
        steps = known["step"].to_numpy(float).clip(0.5)
        axes.plot(steps, known[name], color="#000000", linewidth=0.9, marker=".", ms=3)
        if log and (known[name] > 0).any():
            axes.set_yscale("log")
            label_log(axes.yaxis)
    for axes in column:
        axes.set_xscale("log")
        label_log(axes.xaxis)
        for name, style in (("t_mem", ":"), ("t_grok", "--")):
            if pd.notna(run[name]) and run[name] > 0:
                axes.axvline(run[name], color="#0072B2", linestyle=style, linewidth=0.9)


def _title(run: pd.Series) -> str:
    place = rf"$\alpha$ = {run['alpha']:g}, $\lambda$ = {run['weight_decay']:.3g}"
    return f"{place}, seed {run['seed']}"


def _label_curves(grid: Any, order_parameters: Mapping[str, bool]) -> None:
    names = ["accuracy", "loss", r"$\|\theta\|$", *order_parameters]
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.set_ylabel(name.replace("_", " ") if name in order_parameters else name)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    times = [
        Line2D([], [], color="#0072B2", linestyle=":", label=r"$t_{\mathrm{mem}}$"),
        Line2D([], [], color="#0072B2", linestyle="--", label=r"$t_{\mathrm{grok}}$"),
    ]
    lines, _ = grid[0, 0].get_legend_handles_labels()
    grid[0, 0].legend(handles=[*lines, *times], fontsize=6, frameon=False)
    grid[0, 0].set_ylim(-0.05, 1.05)
