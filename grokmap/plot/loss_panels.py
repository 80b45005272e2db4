"""Losses of several runs against the step."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd

from grokmap.plot.figure import Figure
from grokmap.plot.style import styled

PANELS = {"train_loss": "train loss", "test_loss": "test loss"}
SYMBOLS = {"alpha": r"$\alpha$"}


def loss_curves(trajectories: pd.DataFrame, runs: pd.DataFrame, by: str) -> Figure:
    """Train and test losses, a line a run, on log axes.

    Args:
      trajectories: run_id, step, train_loss, test_loss.
      runs: those to draw, in order, with run_id and the column `by`, which tells them
        apart and gives their colours, dark to light.
    """
    with styled():
        figure = Figure(figsize=(6.4, 2.6), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        shades = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(runs)))
        by_run = dict(list(trajectories.sort_values("step").groupby("run_id")))
        for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
            for (_, run), shade in zip(runs.iterrows(), shades, strict=True):
                records = by_run[run["run_id"]]
                # A log axis has no 0: step 0 is drawn at 1/2, before step 1.
                time = records["step"].to_numpy(float).clip(0.5)
                label = f"{SYMBOLS.get(by, by)} = {run[by]:g}"
                axes.plot(time, records[name], color=shade, linewidth=1, label=label)
            axes.set(xscale="log", yscale="log", xlabel="step", title=title)
        panels[0].set_ylabel("loss")
        panels[1].legend(
            fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    return figure
