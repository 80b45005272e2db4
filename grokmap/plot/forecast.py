"""Forecasts of t_grok against the answer."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap.plot.style import COLOURS, STYLE

T_GROK = r"$t_{\mathrm{grok}}$"


def forecast_panels(known: pd.DataFrame) -> Figure:
    """Forecast and interval over the true t_grok, one panel a cut.

    known: `forecast.hindcasts`. Intervals that miss are orange; crosses: the baseline.
    """
    cuts = list(dict.fromkeys(known["cut"]))
    with mpl.rc_context(STYLE):
        size = (2.4 * len(cuts), 2.4)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(1, len(cuts), sharey=True, squeeze=False)[0]
        for axes, cut in zip(grid, cuts, strict=True):
            own = known[known["cut"] == cut]
            true = own["t_grok"]
            axes.scatter(
                true,
                own["baseline"] / true,
                s=7,
                marker="x",
                color=COLOURS["no-learning"],
                linewidths=0.6,
                label="baseline",
            )
            for inside, colour in ((True, "grok"), (False, "memorize-only")):
                part = own[own["inside"] == inside]
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
            for fraction in own["fraction"].dropna().unique():
                axes.axhline(fraction, color="black", linewidth=0.6, linestyle=":")
            axes.set_xscale("log")
            axes.set_yscale("log", base=2)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.set_xlabel(f"{T_GROK} (steps)")
            share = own["inside"].mean()
            axes.set_title(
                f"cut at {cut.replace('t_grok', T_GROK)}: "
                f"holds {share:.0%} of {len(own)}",
                fontsize=7,
            )
        grid[0].set_ylabel(r"forecast $/\ t_{\mathrm{grok}}$")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=3,
            fontsize=7,
            frameon=False,
        )
    return figure


def _bars(part: pd.DataFrame) -> np.ndarray:
    """[2, k] lengths of the bars below and above the median."""
    middle, true = part["t_grok_median"], part["t_grok"]
    low, high = middle - part["t_grok_low"], part["t_grok_high"] - middle
    return np.array([low / true, high / true])
