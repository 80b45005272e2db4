"""Losses of several runs against the step."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.figure import Figure, blank, entitle, finished, legend_above
from grokmap.plot.names import axis_symbol, value_words
from grokmap.plot.style import PAPER, Look, points, styled
from grokmap.plot.ticks import label_log, most_below

PANELS = {"train_loss": "train loss", "test_loss": "test loss"}
SMALLEST = 24.0  # width of a panel in letters


def loss_curves(
    trajectories: pd.DataFrame, runs: pd.DataFrame, by: str, look: Look = PAPER
) -> Figure:
    """Train and test losses, a line a run, on log axes.

    Args:
      trajectories: run_id, step, train_loss, test_loss.
      runs: those to draw, in order, with run_id and the column `by`, which tells them
        apart and gives their colours, dark to light.
    """
    columns = min(2, look.columns(SMALLEST))
    ems = look.ems / columns
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(runs)))
    by_run = dict(list(trajectories.sort_values("step").groupby("run_id")))
    with styled(look):
        figure = blank(look, 0.75 * ems * (2 // columns) + 5.0)
        panels = figure.subplots(2 // columns, columns, sharex=True, sharey=True)
        for axes, name in zip(panels.flat, PANELS, strict=True):
            for (_, run), shade in zip(runs.iterrows(), shades, strict=True):
                records = by_run[run["run_id"]]
                # A log axis has no 0: step 0 is drawn at 1/2, before step 1.
                time = records["step"].to_numpy(float).clip(0.5)
                axes.plot(time, records[name], color=shade)
            axes.set(xscale="log", yscale="log")
            label_log(axes.xaxis, most_below(ems - 4))
            label_log(axes.yaxis)
            axes.set_ylabel("loss")
        panels.flat[-1].set_xlabel("step")
        panels.flat[-columns].set_xlabel("step")
        entitle(panels.flat, list(PANELS.values()), ems - 3)
        names = [f"{axis_symbol(by)} = {value_words(run)}" for run in runs[by]]
        lines = [
            Line2D([], [], color=shade, linewidth=points(1.1), label=name)
            for name, shade in zip(names, shades, strict=True)
        ]
        legend_above(figure, look, lines)
        return finished(figure, look)
