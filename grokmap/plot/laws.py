"""Residuals of the laws of t_grok, and the master curve."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.figure import Figure
from grokmap.plot.style import COLOURS, styled
from grokmap.plot.ticks import label_log

COLUMNS = 4
MARKERS = "osD^vP*X"
# Okabe and Ito's colours, in the order in which systems are drawn.
SYSTEMS = ("#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
LIMIT = 3.0  # largest residual drawn, either way: a factor 20
BEYOND = "x"


def law_residuals(table: pd.DataFrame) -> Figure:
    """log(t / t_fit) against lambda, one panel a law, best first, colour = alpha.

    table: `laws.residuals`; runs that have not grokked are open (a lower bound).
    """
    names = list(dict.fromkeys(table["law"]))
    rows = -(-len(names) // COLUMNS)
    alphas = np.sort(table["alpha"].unique())
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(alphas)))
    with styled():
        size = (1.85 * COLUMNS, 1.6 * rows + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
        for axes, name in zip(grid.ravel(), names, strict=False):
            part = table[table["law"] == name]
            _residual_panel(axes, part, dict(zip(alphas, shades, strict=True)))
        for axes in grid.ravel()[len(names) :]:
            axes.set_visible(False)
        for axes in grid.ravel()[max(0, len(names) - COLUMNS) : len(names)]:
            axes.tick_params(labelbottom=True)
        figure.supxlabel(r"weight decay $\lambda$", fontsize=8)
        for axes in grid[:, 0]:
            axes.set_ylabel(r"$\ln(t_{\mathrm{grok}}/t_{\mathrm{fit}})$")
        _alpha_legend(figure, alphas, shades)
    return figure


def _residual_panel(axes: Any, table: pd.DataFrame, shades: dict[float, Any]) -> None:
    axes.axhline(0, color="black", linewidth=0.6)
    for alpha, runs in table.groupby("alpha"):
        for grokked, face in ((False, "none"), (True, shades[alpha])):
            part = runs[runs["grokked"] == grokked]
            part = part[part["residual"].abs() <= LIMIT]
            axes.scatter(
                part["weight_decay"],
                part["residual"],
                s=9 if grokked else 7,
                marker="o" if grokked else "^",
                facecolors=face,
                edgecolors=[shades[alpha]],
                linewidths=0.6,
            )
        beyond = runs[runs["residual"].abs() > LIMIT]
        axes.scatter(
            beyond["weight_decay"],
            beyond["residual"].clip(-LIMIT, LIMIT),
            s=12,
            marker=BEYOND,
            color=[shades[alpha]],
            linewidths=0.8,
        )
    axes.set_xscale("log")
    label_log(axes.xaxis)
    axes.set_ylim(-LIMIT - 0.2, LIMIT + 0.2)
    first = table.iloc[0]
    clock = r"$t_{\mathrm{mem}}$ + " if first["clock"] == "t_mem" else ""
    title = f"{clock}{first['law']}, $\\Delta$AIC {first['delta_aic']:.0f}"
    axes.set_title(title, fontsize=6.5, pad=3)
    axes.tick_params(labelsize=6, which="both")


def _alpha_legend(figure: Any, alphas: Any, shades: Any) -> None:
    style: Any = {"linestyle": "", "marker": "o", "markersize": 3.5}
    handles = [
        Line2D([], [], color=shade, label=rf"$\alpha$ = {alpha:g}", **style)
        for alpha, shade in zip(alphas, shades, strict=True)
    ]
    style |= {"marker": "^", "markerfacecolor": "none", "color": "#555555"}
    handles.append(Line2D([], [], label="not yet grokked: at least", **style))
    style |= {"marker": BEYOND, "markerfacecolor": None}
    handles.append(Line2D([], [], label=f"beyond ±{LIMIT:g}, drawn there", **style))
    figure.legend(
        handles=handles, loc="outside upper center", ncols=6, fontsize=6, frameon=False
    )


def master_curve(table: pd.DataFrame) -> Figure:
    """t_grok r against alpha for all systems, before and after a prefactor.

    table: system, alpha, panel (its title), value (positive), drawn over its median.
    """
    panels = list(dict.fromkeys(table["panel"]))
    systems = sorted(table["system"].unique(), key=_by_number)
    with styled():
        size = (1.95 * len(panels), 2.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[
            0
        ]
        for axes, panel in zip(grid, panels, strict=True):
            _master_panel(axes, table[table["panel"] == panel], systems)
        grid[0].set_ylabel("over the median")
        handles, labels = grid[0].get_legend_handles_labels()
        if len(systems) > 1:
            places: Any = {"loc": "outside lower center", "ncols": 4}
            figure.legend(handles, labels, **places, fontsize=7, frameon=False)
    return figure


def _by_number(system: str) -> tuple[float, str]:
    tail = system.rpartition("=")[2]
    try:
        return float(tail), system
    except ValueError:
        return 0.0, system


def _master_panel(axes: Any, table: pd.DataFrame, systems: list[str]) -> None:
    alphas = np.sort(table["alpha"].unique())
    gap = np.diff(alphas).min() if len(alphas) > 1 else 0.1
    for i, system in enumerate(systems):
        runs = table[table["system"] == system]
        # Side by side, so that systems do not hide each other.
        shift = (i - (len(systems) - 1) / 2) * gap * 0.18
        axes.scatter(
            runs["alpha"] + shift,
            runs["value"] / table["value"].median(),
            s=9,
            marker=MARKERS[i % len(MARKERS)],
            color=SYSTEMS[i % len(SYSTEMS)],
            alpha=0.75,
            linewidths=0,
            label=system.replace("width=", "N = "),
        )
    low, high = table["value"].min(), table["value"].max()
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:.3g}")
    axes.set_xlabel(r"$\alpha$")
    axes.set_title(
        f"{table['panel'].iloc[0]}\nlargest / smallest {high / low:.3g}", fontsize=7
    )
    axes.axhline(1, color=COLOURS["no-learning"], linewidth=0.7)
