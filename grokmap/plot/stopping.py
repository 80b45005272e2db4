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
      lost, warned: `early_stopping.losses` and rows of `early_stopping.warnings`, one
        series a quantity, with the columns `shown` (the AUC to draw), `against`, and
        `unmatched`, drawn for the decay rate.
    """
    with styled():
        figure = Figure(figsize=(8.6, 2.5), layout="constrained")
        accuracy, missed, warning = figure.subplots(1, 3)
        for phase, own in lost.groupby("phase"):
            colour = COLOURS.get(str(phase), "#000000")
            band = (own["lost_final_q25"], own["lost_final_q75"])
            accuracy.fill_between(
                own["patience"], *band, color=colour, alpha=0.25, linewidth=0
            )
            _line(accuracy, own, "lost_final", colour, str(phase))
        grok = lost[lost["missed"].notna()]
        _line(missed, grok, "missed", COLOURS["grok"], None)
        rate = warned["quantity"] == "decay_rate"
        groups = warned[~rate].groupby("quantity", sort=False)
        for (name, own), colour in zip(groups, QUANTITIES, strict=False):
            _line(warning, own, "shown", colour, str(name).replace("_", " "))
        label = "decay rate, unmatched"
        _line(warning, warned[rate], "unmatched", "#999999", label, linestyle=":")
        accuracy.set_ylabel("test accuracy lost (quartiles)")
        missed.set_ylabel("share stopped before they grok")
        warning.set_ylabel(f"AUC against {_against(warned)}\n(matched in decay rate)")
        if grok.empty:
            say_nothing(missed, "no run groks")
        if warned.empty or warned["shown"].isna().all():
            say_nothing(warning, "undecidable:\ntoo few runs on a side")
        else:
            warning.axhline(0.5, color="#BBBBBB", linewidth=0.6, zorder=0)
        least, most = lost["patience"].min() / 1.2, lost["patience"].max() * 1.2
        for axes in (accuracy, missed, warning):
            axes.set_xscale("log")
            label_log(axes.xaxis)
            axes.set_xlim(least, most)
            axes.set_ylim(-0.04, 1.04)
            axes.set_xlabel(UNITS[lost["unit"].iloc[0]])
        above: Any = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2}
        accuracy.legend(fontsize=6, frameon=False, **above)
        beside: Any = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        warning.legend(fontsize=6, frameon=False, **beside)
    return figure


def _against(warned: pd.DataFrame) -> str:
    return str(warned["against"].iloc[0]) if len(warned) else "decided runs"


def _line(
    axes: Any,
    own: pd.DataFrame,
    column: str,
    colour: str,
    label: str | None,
    **style: Any,
) -> None:
    axes.plot(
        own["patience"],
        own[column],
        color=colour,
        linewidth=1.1,
        marker="o",
        markersize=2.5,
        label=label,
        **style,
    )
