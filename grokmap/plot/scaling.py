"""Finite-size scaling: P(grok), Binder cumulants, data collapse and times by size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from scipy.special import expit

from grokmap.plot.diagram import LABELS
from grokmap.plot.figure import Figure
from grokmap.plot.style import styled
from grokmap.plot.ticks import label_log

MARKERS = "osD^vP*X"
LOWEST = -1.0  # cumulants drawn; below, a mark says that the point is lower
BELOW: Any = {"linestyle": "none", "marker": 7, "markersize": 6}  # 7: a caret down
# Legends stand above their panel, where they cover no curve.
ABOVE: Any = {
    "loc": "lower right",
    "bbox_to_anchor": (1.0, 1.0),
    "ncols": 5,
    "frameon": False,
    "fontsize": 6,
    "columnspacing": 0.6,
    "handletextpad": 0.1,
    "handlelength": 1.2,
}
SYMBOLS = {"width": "N", "modulus": "p"}
AXIS_SYMBOLS = {
    "weight_decay": r"\lambda",
    "train_fraction": r"\mathrm{fraction}",
    "learning_rate": r"\eta",
    "alpha": r"\alpha",
}


class Scales(NamedTuple):
    """What the sizes and the axis are, and how the axis is drawn.

    quantity: label of the order parameter; clock: unit of the times.
    """

    size: str
    axis: str
    log: bool
    quantity: str
    clock: str

    @property
    def letter(self) -> str:
        return SYMBOLS[self.size]

    @property
    def symbol(self) -> str:
        return AXIS_SYMBOLS.get(self.axis, "x")


def scaling_figure(table: pd.DataFrame, scales: Scales) -> Figure:
    """Four panels: P(grok), Binder cumulants, collapsed P(grok), times against 1/N.

    Args:
      table: one row a number, of `scaling.measure`.
    """
    sizes = sorted(table.loc[table["name"] == "half", "size"].unique())
    looks = _looks(sizes, scales)
    with styled():
        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        (p, cumulant), (collapsed, times) = figure.subplots(2, 2)
        _draw_curves(p, table, scales, looks)
        _draw_cumulants(cumulant, table, scales, looks)
        _draw_collapse(collapsed, table, scales, looks)
        _draw_times(times, table, scales, looks)
        for axes, letter in zip(figure.axes, "abcd", strict=True):
            axes.set_title(f"({letter})", loc="left", fontsize=8)
    return figure


def _looks(sizes: list[float], scales: Scales) -> dict[float, dict[str, Any]]:
    """Colour and marker of each size; colours in order of lightness."""
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(sizes)))
    return {
        size: {
            "color": shade,
            "marker": MARKERS[i % len(MARKERS)],
            "markersize": 3.5,
            "label": f"${scales.letter}={size:g}$",
        }
        for i, (size, shade) in enumerate(zip(sizes, shades, strict=True))
    }


def _rows(table: pd.DataFrame, name: str, size: float | None = None) -> pd.DataFrame:
    rows = table[table["name"] == name]
    rows = rows if size is None else rows[rows["size"] == size]
    return rows.sort_values(["size", "x"])


def _value(table: pd.DataFrame, name: str, size: float | None = None) -> float:
    return float(_rows(table, name, size)["value"].iloc[0])


def _points(axes: Any, x: Any, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    bounds = np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]])
    # Rounding may put a bound on the wrong side of its value by 1e-17.
    error = np.clip(np.nan_to_num(bounds), 0, None)
    axes.errorbar(
        x, rows["value"], error, linestyle="none", elinewidth=0.7, capsize=0, **look
    )


def _axis(axes: Any, scales: Scales) -> None:
    axes.set_xscale("log" if scales.log else "linear")
    if scales.log:
        label_log(axes.xaxis)
    axes.set_xlabel(LABELS.get(scales.axis, scales.axis.replace("_", " ")))


def _draw_curves(
    axes: Any, table: pd.DataFrame, scales: Scales, looks: dict[float, Any]
) -> None:
    place: Callable[[Any], Any] = np.log if scales.log else np.asarray
    cells = _rows(table, "p_grok")
    low, high = cells["x"].min(), cells["x"].max()
    fine = (np.geomspace if scales.log else np.linspace)(low, high, 800)
    for size, look in looks.items():
        shares = _rows(table, "p_grok", size)
        _points(axes, shares["x"], shares, look)
        half, slope = (_value(table, name, size) for name in ("half", "slope"))
        if np.isfinite(half):
            fit = expit(slope * (place(fine) - place(half)))
            axes.plot(fine, fit, color=look["color"], linewidth=0.9)
    undecided = _rows(table, "undecided")
    if len(undecided):
        axes.plot(
            undecided["x"], np.full(len(undecided), 0.5), "|", color="0.5",
            label="undecided",
        )  # fmt: skip
    _axis(axes, scales)
    axes.set_ylim(-0.05, 1.05)
    axes.set_ylabel(r"$P(\mathrm{grok})$ over seeds")
    axes.legend(**ABOVE)


def _draw_cumulants(
    axes: Any, table: pd.DataFrame, scales: Scales, looks: dict[float, Any]
) -> None:
    is_lower = False
    for size, look in looks.items():
        cells = _rows(table, "binder", size)
        axes.plot(cells["x"], cells["value"], color=look["color"], linewidth=0.9)
        _points(axes, cells["x"], cells, look)
        lower = cells.loc[cells["value"] < LOWEST, "x"]
        axes.plot(lower, np.full(len(lower), LOWEST), **BELOW, color=look["color"])
        is_lower |= len(lower) > 0
    crossings = _rows(table, "binder_crossing").dropna(subset="value")
    for place in crossings["value"]:
        axes.axvline(place, color="0.5", linewidth=0.7, linestyle=":")
    axes.axhline(2 / 3, color="black", linewidth=0.6, linestyle="--")
    axes.set_ylim(max(LOWEST - 0.06, axes.get_ylim()[0]), 0.75)
    _axis(axes, scales)
    axes.set_ylabel(f"Binder cumulant $U$ of {scales.quantity}")
    handles = []
    if len(crossings):
        words = "crossing of successive sizes"
        line: Any = {"color": "0.5", "linewidth": 0.7, "linestyle": ":"}
        handles.append(Line2D([], [], label=words, **line))
    if is_lower:
        handles.append(Line2D([], [], color="0.3", label="lower still", **BELOW))
    if handles:
        axes.legend(handles=handles, **ABOVE)


def _draw_collapse(
    axes: Any, table: pd.DataFrame, scales: Scales, looks: dict[float, Any]
) -> None:
    """Collapsed curves; without a collapse, each shifted by its own midpoint."""
    place: Callable[[Any], Any] = np.log if scales.log else np.asarray
    x_c = _value(table, "collapse_x_c")
    exponent = _value(table, "collapse_inverse_nu")
    collapses = bool(np.isfinite(x_c))
    for size, look in looks.items():
        shares = _rows(table, "p_grok", size)
        centre = x_c if collapses else _value(table, "half", size)
        if np.isfinite(centre):
            stretch = size**exponent if collapses else 1.0
            _points(axes, (place(shares["x"]) - place(centre)) * stretch, shares, look)
    symbol, letter = scales.symbol, scales.letter
    zero = rf"{symbol}_c" if collapses else rf"{symbol}_{{1/2}}({letter})"
    distance = rf"\ln({symbol} / {zero})" if scales.log else rf"{symbol} - {zero}"
    if collapses and not scales.log:
        distance = f"({distance})"
    if collapses:
        distance += rf"\, {letter}^{{1/\nu}}"
        s = _value(table, "collapse_s")
        text = (
            rf"${symbol}_c = {x_c:.3g}$" + "\n"
            rf"$1/\nu = {exponent:.2f}$" + "\n" + rf"$S = {s:.2f}$"
        )
    else:
        text = _wrapped(str(_rows(table, "collapse_x_c")["note"].iloc[0]))
    axes.text(0.97, 0.95, text, transform=axes.transAxes, ha="right", va="top")
    axes.set_xlabel(f"${distance}$")
    axes.set_ylabel(r"$P(\mathrm{grok})$")


def _wrapped(note: str) -> str:
    return note.replace(": ", ":\n")


def _draw_times(
    axes: Any, table: pd.DataFrame, scales: Scales, looks: dict[float, Any]
) -> None:
    """Times over t_inf, or over the time at the largest size where there is no c.

    Grey: 1 + c/N fitted at each x alone.
    """
    letter = scales.letter
    total = _rows(table, "t_correction")
    c = float(total.loc[total["x"].isna(), "value"].iloc[0])
    factors = _rows(table, "t_factor")
    largest = factors["size"].max() if len(factors) else np.nan
    scale = 1 + c / largest if np.isfinite(c) else 1.0
    for size, look in looks.items():
        part = factors[factors["size"] == size]
        bounds = part.assign(**{k: part[k] * scale for k in ("value", "low", "high")})
        _points(axes, 1 / part["size"], bounds, look)
    below = r"t_\infty" if np.isfinite(c) else rf"t_{{{largest:g}}}"
    unit = r"t_{\mathrm{grok}}" + (r"\, r" if scales.clock == "decay" else "")
    if np.isfinite(c):
        sign = "+" if c >= 0 else "-"
        text = rf"$t_{letter} = t_\infty(1 {sign} {abs(c):.3g}/{letter})$"
        inverse = np.linspace(0, 1.08 / factors["size"].min(), 100)
        line = 1 + c * inverse
        axes.plot(inverse, line, color="black", linewidth=0.9, label=text)
        top = axes.get_ylim()
        label = f"the same, each ${scales.symbol}$ alone"
        for c_at_x in total["value"][total["x"].notna()].dropna():
            look = {"color": "0.7", "linewidth": 0.5, "zorder": 0, "label": label}
            axes.plot(inverse, 1 + c_at_x * inverse, **look)
            label = ""
        axes.set_ylim(top)  # the lines of single x may leave the panel
        handles, labels = axes.get_legend_handles_labels()
        shown = [i for i, word in enumerate(labels) if word[:3] in ("$t_", "the")]
        picked = [handles[i] for i in shown], [labels[i] for i in shown]
        axes.legend(*picked, **ABOVE)
    elif not len(factors):
        text = _wrapped(str(total["note"].iloc[0]))
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center")
    axes.set_xlim(left=0)
    axes.set_xlabel(f"$1/{letter}$")
    axes.set_ylabel(f"${unit}\\ /\\ {below}$")
