"""Finite-size scaling: P(grok), Binder cumulants, data collapse and times by size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from scipy.special import expit

from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    say_nothing,
)
from grokmap.plot.names import NO_BREAK, axis_symbol, axis_words, place_words
from grokmap.plot.style import PAPER, Look, points, styled
from grokmap.plot.ticks import label_linear, label_log, most_below, number

MARKERS = "osD^vP*X"
LOWEST = -1.0  # cumulants drawn; below, a mark says that the point is lower
BELOW: Any = {"linestyle": "none", "marker": 7}  # a caret down
SMALLEST = 20.0  # width of a panel in letters
SYMBOLS = {"width": "N", "modulus": "p"}


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
        return axis_symbol(self.axis)


def scaling_figure(
    table: pd.DataFrame, scales: Scales, look: Look = PAPER, caption: str = ""
) -> Figure:
    """Four panels: P(grok), Binder cumulants, collapsed P(grok), times against 1/N.

    Args:
      table: one row a number, of `scaling.measure`.
    """
    sizes = sorted(table.loc[table["name"] == "half", "size"].unique())
    columns = min(2, look.columns(SMALLEST))
    ems = look.ems / columns
    with styled(look):
        looks = _looks(sizes, scales)
        figure = blank(look, (4 // columns) * (0.7 * ems + 5.0) + 5.0)
        panels = list(figure.subplots(4 // columns, columns, squeeze=False).flat)
        _draw_curves(panels[0], table, scales, looks)
        _draw_cumulants(panels[1], table, scales, looks)
        why = _draw_collapse(panels[2], table, scales, looks)
        law = _draw_times(panels[3], table, scales, looks)
        for axes in panels:
            if axes.get_xscale() == "log":
                label_log(axes.xaxis, most_below(ems - 4))
            else:
                label_linear(axes.xaxis, most_below(ems - 4))
        titles = ["share of seeds that grok", "Binder cumulant", why, law]
        entitle(panels, titles, ems - 5)
        legend_above(figure, look, _handles(table, scales, looks))
        return finished(figure, look, caption)


def _handles(table: pd.DataFrame, scales: Scales, looks: Any) -> list[Any]:
    """The sizes, then what else is drawn in any panel."""
    handles = [Line2D([], [], linestyle="none", **one) for one in looks.values()]
    grey: Any = {"color": "0.5", "linewidth": points(0.7)}
    if len(_rows(table, "undecided")):
        mark: Any = {"linestyle": "none", "marker": "|", "color": "0.5"}
        handles.append(Line2D([], [], label="undecided cell", **mark))
    if len(_rows(table, "binder_crossing").dropna(subset="value")):
        label = "crossing of successive sizes"
        handles.append(Line2D([], [], label=label, linestyle=":", **grey))
    if (_rows(table, "binder")["value"] < LOWEST).any():
        mark = {"color": "0.3", "markersize": points(4)}
        handles.append(Line2D([], [], label="lower still", **BELOW, **mark))
    total = _rows(table, "t_correction")
    if np.isfinite(float(total.loc[total["x"].isna(), "value"].iloc[0])):
        one_x = total["value"][total["x"].notna()].dropna()
        if len(one_x):
            label = f"fit at each {scales.symbol} alone"
            handles.append(Line2D([], [], label=label, color="0.7", linewidth=0.5))
    return handles


def _looks(sizes: list[float], scales: Scales) -> dict[float, dict[str, Any]]:
    """Colour and marker of each size; colours in order of lightness."""
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(sizes)))
    return {
        size: {
            "color": shade,
            "marker": MARKERS[i % len(MARKERS)],
            "markersize": points(3),
            "label": place_words({scales.size: int(size)}),
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
        x,
        rows["value"],
        error,
        linestyle="none",
        elinewidth=points(0.7),
        capsize=0,
        **look,
    )


def _axis(axes: Any, scales: Scales) -> None:
    axes.set_xscale("log" if scales.log else "linear")
    axes.set_xlabel(axis_words(scales.axis))
    label_linear(axes.yaxis, 5)


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
            axes.plot(fine, fit, color=look["color"], linewidth=points(0.9))
    undecided = _rows(table, "undecided")
    if len(undecided):
        axes.plot(undecided["x"], np.full(len(undecided), 0.5), "|", color="0.5")
    _axis(axes, scales)
    axes.set_ylim(-0.05, 1.05)
    axes.set_ylabel(r"$P(\mathrm{grok})$")


def _draw_cumulants(
    axes: Any, table: pd.DataFrame, scales: Scales, looks: dict[float, Any]
) -> None:
    for size, look in looks.items():
        cells = _rows(table, "binder", size)
        axes.plot(
            cells["x"], cells["value"], color=look["color"], linewidth=points(0.9)
        )
        _points(axes, cells["x"], cells, look)
        lower = cells.loc[cells["value"] < LOWEST, "x"]
        mark: Any = {"color": look["color"], "markersize": points(5)}
        axes.plot(lower, np.full(len(lower), LOWEST), **BELOW, **mark)
    crossings = _rows(table, "binder_crossing").dropna(subset="value")
    for place in crossings["value"]:
        axes.axvline(place, color="0.5", linewidth=points(0.7), linestyle=":")
    axes.axhline(2 / 3, color="black", linewidth=points(0.6), linestyle="--")
    axes.set_ylim(max(LOWEST - 0.06, axes.get_ylim()[0]), 0.75)
    _axis(axes, scales)
    axes.set_ylabel(f"$U$ of {scales.quantity}")


def _draw_collapse(
    axes: Any, table: pd.DataFrame, scales: Scales, looks: dict[float, Any]
) -> str:
    """Collapsed curves; without a collapse, each shifted by its own midpoint. Returns
    the exponents, or why there are none."""
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
    label_linear(axes.yaxis, 5)
    axes.set_xlabel(f"${_distance(scales, exponent if collapses else None)}$")
    axes.set_ylabel(r"$P(\mathrm{grok})$")
    symbol = scales.symbol.strip("$")
    if not collapses:
        note = str(_rows(table, "collapse_x_c")["note"].iloc[0])
        return note.replace("x_c", f"${symbol}_c$")
    parts = {f"${symbol}_c$": x_c, r"$1/\nu$": exponent}
    parts["$S$"] = _value(table, "collapse_s")
    words = (f"{k} = {number(v)}".replace(" ", NO_BREAK) for k, v in parts.items())
    return "collapsed: " + ", ".join(words)


def _distance(scales: Scales, exponent: float | None) -> str:
    """The axis of the collapse; without exponent, the distance from the midpoint."""
    symbol, letter = scales.symbol.strip("$"), scales.letter
    if len(symbol) > 1 and not symbol.startswith("\\"):
        symbol = rf"\mathrm{{{symbol.replace(' ', '~')}}}"
    zero = rf"{{{symbol}}}_c" if exponent is not None else rf"{{{symbol}}}_{{1/2}}"
    if scales.log:
        distance = rf"\ln({symbol} / {zero})"
    else:
        distance = (
            rf"({symbol} - {zero})" if exponent is not None else f"{symbol} - {zero}"
        )
    return distance + (rf"\, {letter}^{{1/\nu}}" if exponent is not None else "")


def _draw_times(
    axes: Any, table: pd.DataFrame, scales: Scales, looks: dict[float, Any]
) -> str:
    """Times over t_inf, or over the time at the largest size where there is no c.

    Grey: 1 + c/N fitted at each x alone. Returns the law.
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
    text = "times by size"
    if np.isfinite(c):
        sign = "+" if c >= 0 else "-"
        law = rf"$t_{letter} = t_\infty(1 {sign} {abs(c):.3g}/{letter})$"
        text = f"times by size, line: {law}"
        inverse = np.linspace(0, 1.08 / factors["size"].min(), 100)
        axes.plot(inverse, 1 + c * inverse, color="black", linewidth=points(0.9))
        top = axes.get_ylim()
        for c_at_x in total["value"][total["x"].notna()].dropna():
            look = {"color": "0.7", "linewidth": points(0.5), "zorder": 0}
            axes.plot(inverse, 1 + c_at_x * inverse, **look)
        axes.set_ylim(top)  # the lines of single x may leave the panel
    elif not len(factors):
        say_nothing(axes, str(total["note"].iloc[0]))
    axes.set_xlim(left=0)
    label_linear(axes.yaxis, 5)
    axes.set_xlabel(f"$1/{letter}$")
    axes.set_ylabel(f"${unit}\\ /\\ {below}$")
    return text
