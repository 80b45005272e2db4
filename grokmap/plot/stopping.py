"""What a stop some patience after t_mem would have cost, and what would have warned."""

from __future__ import annotations

from typing import Any

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
from grokmap.plot.names import by_number, quantity_words, system_words
from grokmap.plot.style import COLOURS, NEUTRAL, PAPER, Look, points, styled
from grokmap.plot.ticks import label_linear, label_log, most_below

QUANTITIES = ("#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "sD^vP*"
UNITS = {
    "t_mem": r"patience $k$, stop at $(1+k)\,t_{\mathrm{mem}}$",
    "decay-times": r"patience $k$, stop at $t_{\mathrm{mem}} + k/r$",
    "steps": r"patience $k$, stop at $t_{\mathrm{mem}} + k$ steps",
}
SMALLEST = 15.0  # width of a panel in letters
RATE = "decay_rate"


def early_stopping(
    lost: pd.DataFrame, warned: pd.DataFrame, look: Look = PAPER, caption: str = ""
) -> Figure:
    """Accuracy lost by phase; share of grokking runs missed; AUC of warnings.

    Args:
      lost, warned: `early_stopping.losses_by_system`, of which each system has two
        panels, and rows of `early_stopping.warnings`, one series a quantity, with the
        columns `shown` (the AUC to draw), `against`, and `unmatched`, drawn for the
        decay rate.
    """
    systems = dict(list(lost.groupby("system", sort=False))) if "system" in lost else {}
    parts = {name: systems[name] for name in sorted(systems, key=by_number)}
    parts = parts or {"": lost}
    count = 2 * len(parts) + 1
    most = look.columns(SMALLEST)
    columns = min(most, 3) if len(parts) == 1 else max(1, most - most % 2)
    rows, ems = -(-count // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.7 * ems + 6.0) + 5.0)
        grid: Any = figure.subplots(rows, columns, squeeze=False)
        panels = list(grid.flat)
        for unused in panels[count:]:
            unused.remove()
        titles = []
        for i, (name, part) in enumerate(parts.items()):
            _draw_losses(panels[2 * i], part)
            _draw_missed(panels[2 * i + 1], part)
            head = f"{system_words(str(name))}: " if name else ""
            titles += [f"{head}cost of the stop", f"{head}runs missed"]
        _draw_warnings(panels[count - 1], warned)
        titles.append(f"warnings, told from {_against(warned)}")
        _scales(panels[:count], lost, ems)
        entitle(panels[:count], titles, ems - 5.0)
        legend_above(figure, look, _handles(lost, warned))
        return finished(figure, look, caption)


def _scales(panels: list[Any], lost: pd.DataFrame, ems: float) -> None:
    limits = lost["patience"].min() / 1.2, lost["patience"].max() * 1.2
    for axes in panels:
        axes.set_xscale("log")
        label_log(axes.xaxis, most_below(ems - 4))
        label_linear(axes.yaxis, 5)
        axes.set(xlim=limits, ylim=(-0.04, 1.04))
        axes.set_ylabel(wrapped(axes.get_ylabel(), 0.6 * ems))
        axes.set_xlabel(wrapped(UNITS[lost["unit"].iloc[0]], ems - 6.5))


def _draw_losses(axes: Any, lost: pd.DataFrame) -> None:
    axes.set_ylabel("test accuracy lost")
    if not lost["n_stopped"].any():
        say_nothing(axes, "nothing is stopped: every run ends before")
        return
    for phase, rows in lost.groupby("phase"):
        colour = COLOURS.get(str(phase), "#000000")
        band = (rows["lost_final_q25"], rows["lost_final_q75"])
        axes.fill_between(rows["patience"], *band, color=colour, alpha=0.25, lw=0)
        _line(axes, rows, "lost_final", colour, PHASE_MARKERS.get(str(phase), "o"))


PHASE_MARKERS = {"grok": "o", "memorize-only": "s"}


def _draw_missed(axes: Any, lost: pd.DataFrame) -> None:
    grok = lost[lost["missed"].notna() & (lost["n_stopped"].sum() > 0)]
    _line(axes, grok, "missed", COLOURS["grok"])
    axes.set_ylabel("stopped before they grok")
    if grok.empty:
        ends = lost["missed"].notna().any()
        say_nothing(axes, "nothing is stopped" if ends else "no run groks")


def _draw_warnings(axes: Any, warned: pd.DataFrame) -> None:
    for name, colour, marker in _series(warned):
        _line(axes, warned[warned["quantity"] == name], "shown", colour, marker)
    if _known(warned, RATE, "unmatched"):
        rate = warned[warned["quantity"] == RATE]
        _line(axes, rate, "unmatched", NEUTRAL, linestyle=":")
    axes.set_ylabel("AUC, matched in $r$")
    if not _series(warned):
        say_nothing(axes, "undecidable: too few runs on a side")
    else:
        axes.axhline(0.5, color="#BBBBBB", linewidth=points(0.6), zorder=0)


def _series(warned: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Name, colour and marker of each quantity with a value to draw."""
    names = [n for n in dict.fromkeys(warned["quantity"]) if n != RATE]
    known = [str(n) for n in names if _known(warned, n, "shown")]
    return list(zip(known, QUANTITIES, MARKERS, strict=False))


def _known(warned: pd.DataFrame, name: str, column: str) -> bool:
    return bool(warned.loc[warned["quantity"] == name, column].notna().any())


def _handles(lost: pd.DataFrame, warned: pd.DataFrame) -> list[Any]:
    """Phases of what is stopped, then the quantities that warn."""
    mark: Any = {"markersize": points(2.5)}
    handles: list[Any] = []
    if lost["n_stopped"].any():
        for phase in sorted(lost["phase"].unique()):
            colour = COLOURS.get(phase, "#000000")
            marker = PHASE_MARKERS.get(phase, "o")
            label = f"{phase}: median, quartiles"
            handles.append(
                Line2D([], [], color=colour, marker=marker, label=label, **mark)
            )
    for name, colour, marker in _series(warned):
        label = f"warns: {quantity_words(name)}"
        handles.append(Line2D([], [], color=colour, marker=marker, label=label, **mark))
    if _known(warned, RATE, "unmatched"):
        look: Any = {"color": NEUTRAL, "marker": "o", "linestyle": ":"}
        handles.append(Line2D([], [], label="decay rate, unmatched", **look, **mark))
    return handles


def _against(warned: pd.DataFrame) -> str:
    return str(warned["against"].iloc[0]) if len(warned) else "decided runs"


def _line(
    axes: Any,
    rows: pd.DataFrame,
    column: str,
    colour: str,
    marker: str = "o",
    linestyle: str = "-",
) -> None:
    look: Any = {"marker": marker, "markersize": points(2.5), "linestyle": linestyle}
    axes.plot(rows["patience"], rows[column], color=colour, **look)
