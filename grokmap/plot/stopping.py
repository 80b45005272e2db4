"""What a stop some patience after t_mem would have cost, and what would have warned."""

from __future__ import annotations

from typing import Any

import pandas as pd

from grokmap.plot.diagram import say_nothing
from grokmap.plot.figure import Figure
from grokmap.plot.style import COLOURS, styled
from grokmap.plot.ticks import label_log

QUANTITIES = ("#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
UNITS = {
    "t_mem": r"patience $k$:  stop = $(1+k)\,t_{\mathrm{mem}}$",
    "decay-times": r"patience $k$:  stop = $t_{\mathrm{mem}} + k/r$",
    "steps": r"patience $k$:  stop = $t_{\mathrm{mem}} + k$ steps",
}


def early_stopping(lost: pd.DataFrame, warned: pd.DataFrame) -> Figure:
    """Accuracy lost by phase; share of grokking runs missed; AUC of warnings.

    Args:
      lost, warned: `early_stopping.losses_by_system`, of which each system has a row of
        panels, and rows of `early_stopping.warnings`, one series a quantity, with the
        columns `shown` (the AUC to draw), `against`, and `unmatched`, drawn for the
        decay rate.
    """
    systems = dict(list(lost.groupby("system", sort=False))) if "system" in lost else {}
    parts = systems or {"": lost}
    with styled():
        size = (8.6, 2.5 * len(parts))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(parts), 3, squeeze=False)
        for row, (name, part) in zip(grid, parts.items(), strict=True):
            _draw_losses(row[0], part)
            _draw_missed(row[1], part)
            row[1].set_title(name, fontsize=7)
        _draw_warnings(grid[0, 2], warned)
        for axes in grid[1:, 2]:  # one panel of warnings covers all systems
            axes.remove()
        least, most = lost["patience"].min() / 1.2, lost["patience"].max() * 1.2
        for axes in figure.axes:
            axes.set_xscale("log")
            label_log(axes.xaxis)
            axes.set_xlim(least, most)
            axes.set_ylim(-0.04, 1.04)
            axes.set_xlabel(UNITS[lost["unit"].iloc[0]])
    return figure


def _draw_losses(axes: Any, lost: pd.DataFrame) -> None:
    axes.set_ylabel("test accuracy lost (quartiles)")
    if not lost["n_stopped"].any():
        say_nothing(axes, "nothing is stopped:\nevery run ends before")
        return
    for phase, rows in lost.groupby("phase"):
        colour = COLOURS.get(str(phase), "#000000")
        band = (rows["lost_final_q25"], rows["lost_final_q75"])
        axes.fill_between(rows["patience"], *band, color=colour, alpha=0.25, lw=0)
        _line(axes, rows, "lost_final", colour, str(phase))
    above: Any = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2}
    axes.legend(fontsize=6, frameon=False, **above)


def _draw_missed(axes: Any, lost: pd.DataFrame) -> None:
    grok = lost[lost["missed"].notna() & (lost["n_stopped"].sum() > 0)]
    _line(axes, grok, "missed", COLOURS["grok"], None)
    axes.set_ylabel("share stopped before they grok")
    if grok.empty:
        ends = lost["missed"].notna().any()
        say_nothing(axes, "nothing is stopped" if ends else "no run groks")


def _draw_warnings(axes: Any, warned: pd.DataFrame) -> None:
    rate = warned["quantity"] == "decay_rate"
    groups = warned[~rate].groupby("quantity", sort=False)
    for (name, rows), colour in zip(groups, QUANTITIES, strict=False):
        _line(axes, rows, "shown", colour, str(name).replace("_", " "))
    label = "decay rate, unmatched"
    _line(axes, warned[rate], "unmatched", "#999999", label, linestyle=":")
    axes.set_ylabel(f"AUC against {_against(warned)}\n(matched in decay rate)")
    if warned.empty or warned["shown"].isna().all():
        say_nothing(axes, "undecidable:\ntoo few runs on a side")
    else:
        axes.axhline(0.5, color="#BBBBBB", linewidth=0.6, zorder=0)
    beside: Any = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    axes.legend(fontsize=6, frameon=False, **beside)


def _against(warned: pd.DataFrame) -> str:
    return str(warned["against"].iloc[0]) if len(warned) else "decided runs"


def _line(
    axes: Any,
    rows: pd.DataFrame,
    column: str,
    colour: str,
    label: str | None,
    **style: Any,
) -> None:
    axes.plot(
        rows["patience"],
        rows[column],
        color=colour,
        linewidth=1.1,
        marker="o",
        markersize=2.5,
        label=label,
        **style,
    )
