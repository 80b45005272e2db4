"""Residuals of the laws of t_grok, and the master curve."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.diagram import label_grid
from grokmap.plot.figure import Figure, blank, entitle, finished, legend_above
from grokmap.plot.names import NO_BREAK, axis_words, by_number, system_words
from grokmap.plot.style import NEUTRAL, PAPER, Look, area, points, styled
from grokmap.plot.ticks import (
    fraction,
    label_linear,
    label_log,
    most_below,
    number,
    round_powers,
)

COLUMNS = 4
SMALLEST = 14.0  # width of a panel in letters
MARKERS = "osD^vP*X"
# Okabe and Ito's colours, in the order in which systems are drawn.
SYSTEMS = ("#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
LIMIT = 3.0  # largest residual drawn, either way: a factor 20
BEYOND = "x"
LAMBDA = r"$\lambda$"


def law_residuals(table: pd.DataFrame, look: Look = PAPER, caption: str = "") -> Figure:
    """log(t / t_fit) against lambda, one panel a law, best first, colour = alpha.

    table: `laws.residuals`; runs that have not grokked are open (a lower bound).
    """
    names = list(dict.fromkeys(table["law"]))
    columns = min(COLUMNS, look.columns(SMALLEST), len(names))
    rows, ems = -(-len(names) // columns), look.ems / columns
    alphas = np.sort(table["alpha"].unique())
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(alphas)))
    with styled(look):
        figure = blank(look, rows * (0.7 * ems + 2.5) + 7.0)
        grid: Any = figure.subplots(
            rows, columns, sharex=True, sharey=True, squeeze=False
        )
        parts = [table[table["law"] == name] for name in names]
        for axes, part in zip(grid.flat, parts, strict=False):
            _residual_panel(axes, part, dict(zip(alphas, shades, strict=True)))
        label_log(grid[0, 0].xaxis, most_below(ems - 3))
        y_label = r"$\ln(t_{\mathrm{grok}}/t_{\mathrm{fit}})$"
        label_grid(grid, len(names), [axis_words("weight_decay"), y_label])
        panels = list(grid.flat)[: len(names)]
        entitle(panels, [_law_title(part) for part in parts], ems - 2.8)
        legend_above(figure, look, _alpha_handles(table, alphas, shades))
        return finished(figure, look, caption)


def _law_title(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    clock = r"$t_{\mathrm{mem}}$ + " if first["clock"] == "t_mem" else ""
    law = str(first["law"]).replace("lambda", LAMBDA).replace("-", NO_BREAK)
    above = f"$\\Delta$AIC{NO_BREAK}{first['delta_aic']:.0f}"
    return f"{clock}{law}, {above}"


def _residual_panel(axes: Any, table: pd.DataFrame, shades: dict[float, Any]) -> None:
    axes.axhline(0, color="black", linewidth=points(0.6))
    for alpha, runs in table.groupby("alpha"):
        for grokked, face in ((False, "none"), (True, shades[alpha])):
            part = runs[runs["grokked"] == grokked]
            part = part[part["residual"].abs() <= LIMIT]
            axes.scatter(
                part["weight_decay"],
                part["residual"],
                s=area(9 if grokked else 7),
                marker="o" if grokked else "^",
                facecolors=face,
                edgecolors=[shades[alpha]],
                linewidths=points(0.6),
            )
        beyond = runs[runs["residual"].abs() > LIMIT]
        axes.scatter(
            beyond["weight_decay"],
            beyond["residual"].clip(-LIMIT, LIMIT),
            s=area(12),
            marker=BEYOND,
            color=[shades[alpha]],
            linewidths=points(0.8),
        )
    axes.set_xscale("log")
    axes.set_ylim(-LIMIT - 0.4, LIMIT + 0.4)
    label_linear(axes.yaxis, 4)


def _alpha_handles(table: pd.DataFrame, alphas: Any, shades: Any) -> list[Line2D]:
    style: Any = {"linestyle": "", "marker": "o", "markersize": points(3)}
    handles = [
        Line2D([], [], color=shade, label=rf"$\alpha$ = {number(alpha)}", **style)
        for alpha, shade in zip(alphas, shades, strict=True)
    ]
    beyond = table["residual"].abs() > LIMIT
    if (~beyond & ~table["grokked"].astype(bool)).any():
        style |= {"marker": "^", "markerfacecolor": "none", "color": "#555555"}
        handles.append(Line2D([], [], label="not yet grokked: at least", **style))
    if beyond.any():
        style |= {"marker": BEYOND, "markerfacecolor": None, "color": "#555555"}
        handles.append(Line2D([], [], label=f"beyond ±{LIMIT:g}, drawn there", **style))
    return handles


def master_curve(table: pd.DataFrame, look: Look = PAPER, caption: str = "") -> Figure:
    """t_grok r against alpha for all systems, before and after a prefactor.

    table: system, alpha, panel (its title), value (positive), drawn over its median.
    """
    names = list(dict.fromkeys(table["panel"]))
    columns = min(len(names), look.columns(SMALLEST))
    columns = 2 if columns == 3 and len(names) == 4 else columns
    rows, ems = -(-len(names) // columns), look.ems / columns
    systems = sorted(table["system"].unique(), key=by_number)
    with styled(look):
        figure = blank(look, rows * (0.8 * ems + 5.0) + 5.0)
        grid: Any = figure.subplots(
            rows, columns, sharex=True, sharey=True, squeeze=False
        )
        parts = [table[table["panel"] == name] for name in names]
        for axes, part in zip(grid.flat, parts, strict=False):
            _master_panel(axes, part, systems, most_below(ems - 3))
        _scale_ratios(grid[0, 0])
        label_grid(grid, len(names), [r"$\alpha$", "over the median"])
        panels = list(grid.flat)[: len(names)]
        entitle(panels, [_spread_title(part) for part in parts], ems - 2.8)
        legend_above(figure, look, _system_handles(systems))
        return finished(figure, look, caption)


def _spread_title(table: pd.DataFrame) -> str:
    ratio = table["value"].max() / table["value"].min()
    return f"{table['panel'].iloc[0]}\nlargest / smallest {number(ratio)}"


def _scale_ratios(axes: Any) -> None:
    """Of all panels, which share their scale."""
    axes.set_yscale("log", base=2)
    ticks = round_powers(*axes.get_ylim())
    axes.set_yticks(ticks, labels=[fraction(tick) for tick in ticks])


def _system_handles(systems: list[str]) -> list[Line2D]:
    if len(systems) < 2:
        return []
    style: Any = {"linestyle": "", "markersize": points(3.5)}
    return [
        Line2D([], [], label=system_words(system), **style, **_system_look(i))
        for i, system in enumerate(systems)
    ]


def _system_look(i: int) -> dict[str, Any]:
    return {
        "marker": MARKERS[i % len(MARKERS)],
        "color": SYSTEMS[i % len(SYSTEMS)],
        "markeredgewidth": 0,
    }


def _master_panel(
    axes: Any, table: pd.DataFrame, systems: list[str], most: int
) -> None:
    alphas = np.sort(table["alpha"].unique())
    gap = np.diff(alphas).min() if len(alphas) > 1 else 0.1
    for i, system in enumerate(systems):
        runs = table[table["system"] == system]
        # Side by side, so that systems do not hide each other.
        shift = (i - (len(systems) - 1) / 2) * gap * 0.18
        look: Any = {"linestyle": "", "markersize": points(3), "alpha": 0.75}
        value = runs["value"] / table["value"].median()
        axes.plot(runs["alpha"] + shift, value, **look, **_system_look(i))
    label_linear(axes.xaxis, most)
    axes.axhline(1, color=NEUTRAL, linewidth=points(0.7))
