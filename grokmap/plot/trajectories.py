"""Trajectories of a few runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    say_nothing,
    wrapped,
)
from grokmap.plot.names import place_words, quantity_words
from grokmap.plot.style import PAPER, Look, points, styled
from grokmap.plot.ticks import label_linear, label_log, most_below

SMALLEST, HIGH = 14.0, 8.5  # width and height of a panel in letters
# What may tell runs apart, in the order in which it is said.
APART = (
    *("model", "optimizer", "modulus", "width", "depth", "n_inputs", "n_examples"),
    *("alpha", "weight_decay", "learning_rate", "train_fraction", "seed"),
)


class Predicted(NamedTuple):
    """Of a theory: its name, and records of losses and accuracies (None: none)."""

    title: str = ""
    records: pd.DataFrame | None = None


def curves(
    trajectories: pd.DataFrame,
    runs: pd.DataFrame,
    order_parameters: Mapping[str, bool] | None = None,
    apart: Sequence[str] = APART,
    look: Look = PAPER,
    caption: str = "",
    predicted: Predicted = Predicted(),
) -> Figure:
    """Trajectories of a few runs, one column each, on a log time axis.

    Rows: accuracies; losses; weight norm; then a panel for each order parameter that
    has values. t_mem and t_grok are marked by vertical lines. Where there is no room
    for all runs side by side, the others stand below.

    Args:
      trajectories: run_id, step and quantities of the runs.
      runs: classified runs to draw, in order.
      order_parameters: those to draw, and whether on a log scale.
      apart: columns of `runs`, said of each run where they differ.
      predicted: what a theory says of these runs, dashed.
    """
    logs = {
        name: log
        for name, log in (order_parameters or {}).items()
        if name in trajectories and trajectories[name].notna().any()
    }
    rows, columns = 3 + len(logs), min(len(runs), look.columns(SMALLEST))
    blocks, ems = -(-len(runs) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, blocks * (rows * HIGH + 5.0) + 4.0)
        shape = (blocks * rows, columns)
        grid = figure.subplots(*shape, sharex="col", sharey="row", squeeze=False)
        by_run = [
            grid[i * rows : (i + 1) * rows, j]
            for i in range(blocks)
            for j in range(columns)
        ]
        for unused in by_run[len(runs) :]:
            for axes in unused:
                axes.remove()
        for column, (_, run) in zip(by_run, runs.iterrows(), strict=False):
            records = trajectories[trajectories["run_id"] == run["run_id"]]
            _draw_predicted(column, run["run_id"], predicted.records)
            _draw_run(column, records, run, logs, most_below(ems - 4))
        titles = run_titles(runs, apart)
        entitle([column[0] for column in by_run[: len(runs)]], titles, ems - 3)
        for i, column in enumerate(by_run[: len(runs)]):
            _label_column(column, logs, first=i % columns == 0)
        legend_above(figure, look, _handles(runs) + _predicted_handles(predicted))
        return finished(figure, look, caption)


def run_titles(runs: pd.DataFrame, apart: Sequence[str]) -> list[str]:
    """The phase of each run, and where it is on the axes that tell runs apart."""
    names = [n for n in apart if n in runs and runs[n].nunique(dropna=False) > 1]
    titles = []
    for row in runs.to_dict("records"):
        flag = " (censored)" if row["censored"] else ""
        place = {name: row[name] if pd.notna(row[name]) else None for name in names}
        titles.append(f"{row['phase']}{flag}\n{place_words(place)}".rstrip())
    return titles


_PAIRS = (("train_accuracy", "test_accuracy"), ("train_loss", "test_loss"))
LINES = {"train": "#000000", "test": "#D55E00"}
# Of a theory: of other lightness than the measured lines that they may cover.
PREDICTED = {"train": "#56B4E9", "test": "#CC79A7"}
TIMES = {"t_mem": ":", "t_grok": "--"}
# The quantities drawn for every run.
CURVES = (*_PAIRS[0], *_PAIRS[1], "weight_norm")


def _draw_predicted(column: Any, run_id: str, records: pd.DataFrame | None) -> None:
    """Dashed, over the measured lines, in their colours."""
    if records is None:
        return
    mine = records[records["run_id"] == run_id]
    time = mine["step"].to_numpy(float).clip(0.5)
    for axes, pair in zip(column, _PAIRS, strict=False):
        for name, style in zip(pair, PREDICTED.values(), strict=True):
            look: Any = {"linestyle": "--", "linewidth": points(1.1), "zorder": 3}
            axes.plot(time, mine[name], color=style, **look)


def _predicted_handles(predicted: Predicted) -> list[Line2D]:
    if predicted.records is None:
        return []
    return [
        Line2D([], [], color=c, linestyle="--", label=f"{predicted.title}, {name}")
        for name, c in PREDICTED.items()
    ]


def _draw_run(
    column: Any,
    records: pd.DataFrame,
    run: pd.Series,
    logs: Mapping[str, bool],
    most: int,
) -> None:
    # A log axis has no 0: step 0 is drawn at 1/2, before step 1.
    time = records["step"].to_numpy(float).clip(0.5)
    for axes, pair in zip(column, _PAIRS, strict=False):
        for name, colour in zip(pair, LINES.values(), strict=True):
            axes.plot(time, records[name], color=colour)
    if records["train_accuracy"].isna().all():
        say_nothing(column[0], "real targets: no accuracy", 10)
    column[1].set_yscale("log")
    label_log(column[1].yaxis)
    column[2].plot(time, records["weight_norm"], color="#000000")
    for axes, (name, log) in zip(column[3:], logs.items(), strict=True):
        known = records[records[name].notna()]
        steps = known["step"].to_numpy(float).clip(0.5)
        marks: Any = {"marker": ".", "ms": points(3)}
        axes.plot(steps, known[name], color="#000000", linewidth=points(0.9), **marks)
        if known.empty:
            say_nothing(axes, "not recorded")
        if log and (known[name] > 0).any():
            axes.set_yscale("log")
            label_log(axes.yaxis)
    for axes in column:
        if axes.get_yscale() == "linear":
            label_linear(axes.yaxis, 3)
        axes.set_xscale("log")
        label_log(axes.xaxis, most)
        for name, style in TIMES.items():
            if pd.notna(run[name]) and run[name] > 0:
                line: Any = {"color": "#0072B2", "linestyle": style}
                axes.axvline(run[name], **line, linewidth=points(0.9))
    column[0].set_ylim(-0.05, 1.05)


def _label_column(column: Any, logs: Mapping[str, bool], first: bool) -> None:
    """What is drawn, beside the first column; the step below the last panel."""
    column[-1].set_xlabel("step")
    column[-1].tick_params(labelbottom=True)
    names = ["accuracy", "loss", r"norm $\|\theta\|$", *map(quantity_words, logs)]
    for axes, name in zip(column, names, strict=True):
        if first:
            axes.set_ylabel(wrapped(name, 0.8 * HIGH))


def _handles(runs: pd.DataFrame) -> list[Line2D]:
    """Of the lines that any panel has."""
    lines = [Line2D([], [], color=c, label=name) for name, c in LINES.items()]
    symbols = {"t_mem": r"$t_{\mathrm{mem}}$", "t_grok": r"$t_{\mathrm{grok}}$"}
    for name, style in TIMES.items():
        if (runs[name].astype(float) > 0).any():
            look: Any = {"color": "#0072B2", "linestyle": style}
            lines.append(
                Line2D([], [], label=symbols[name], linewidth=points(0.9), **look)
            )
    return lines
