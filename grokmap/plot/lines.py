"""Lines of times and P(grok) as they are drawn: styles, marks, and their legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.diagram import Shading
from grokmap.plot.figure import say_nothing
from grokmap.plot.hysteresis import LINES
from grokmap.plot.style import COLOURS, NEUTRAL, points

MARKERS = "osDvPX"  # none of them points up, as arrows do
MOST_LINES = len(LINES)
DARK = "#333333"
# Between lines, so that intervals stay apart: of the distance of two values, at most of
# the whole axis.
DODGE, MOST_DODGE = 0.12, 0.012
P_GROK, T_MEM, T_GROK = "P(grok)", r"$t_{\mathrm{mem}}$", r"$t_{\mathrm{grok}}$"
TIMES = {"t_mem": T_MEM, "t_grok": T_GROK}


class Line(NamedTuple):
    """Cells along the axis; see `result.one_axis` for the columns.

    title: what tells it from the other lines of a panel. cells: x, t_mem, t_grok and
    p_grok with their ends; runs: x, and of each run t_mem, t_grok, n_steps, undecided;
    extra: x, value, low, high of a quantity below; each None where there is none.
    """

    title: str
    cells: pd.DataFrame | None
    runs: pd.DataFrame | None = None
    extra: pd.DataFrame | None = None


class LinePanel(NamedTuple):
    """The lines of one of the small multiples."""

    title: str
    lines: Sequence[Line]


class Below(NamedTuple):
    """A quantity of the lines, in panels of its own.

    words: of the legend, telling what its marks and intervals are ("": its label does);
    even: where a line goes across these panels.
    """

    shading: Shading
    words: str
    even: float | None = None


class Hue(NamedTuple):
    """How a line is told from the others: colours of t_mem and t_grok, its marker."""

    mem: str
    grok: str
    marker: str


def hues(panels: Sequence[LinePanel]) -> dict[str, Hue]:
    """By title of a line; one line has the colours of its phases."""
    lines = [line for panel in panels for line in panel.lines]
    titles = list(dict.fromkeys(x.title for x in lines if x.cells is not None))
    if len(titles) == 1:
        return {titles[0]: Hue(COLOURS["memorize-only"], COLOURS["grok"], MARKERS[0])}
    pairs = zip(titles, LINES, MARKERS, strict=False)
    return {title: Hue(colour, colour, marker) for title, colour, marker in pairs}


def draw_panel(
    place: Any,
    panel: LinePanel,
    log: bool,
    below: Below | None,
    by_title: dict[str, Hue],
) -> None:
    one = len(by_title) == 1
    for line in _dodged(panel.lines, log):
        hue = by_title.get(line.title, Hue(DARK, DARK, MARKERS[0]))
        if line.cells is not None:
            _draw_time(place[0], line.cells, "t_mem", hue)
            _draw_time(place[0], line.cells, "t_grok", hue)
            _draw_share(place[1], line.cells, hue)
        if line.runs is not None:
            _draw_runs(place[0], line.runs, hue, one)
        if line.extra is not None and below is not None:
            _draw_extra(place[2], line.extra, hue._replace(grok=DARK) if one else hue)
    if below is not None and below.even is not None:
        place[2].axhline(below.even, color=NEUTRAL, linewidth=points(0.7))
    _say_what_is_missing(place, panel, below)


def _say_what_is_missing(place: Any, panel: LinePanel, below: Below | None) -> None:
    if not is_known(panel, "t_mem", "t_grok"):
        _say(place[0], "no run memorises")
    if not is_known(panel, "p_grok"):
        _say(place[1], "nothing is decided")
    if below is not None and not is_known(panel, "value"):
        _say(place[2], below.shading.none)


def _say(axes: Any, why: str) -> None:
    """Words on white, since intervals go through the panel even so."""
    say_nothing(axes, why)
    axes.texts[-1].set_bbox({"facecolor": "white", "edgecolor": "none"})


def is_known(panel: LinePanel, *columns: str) -> bool:
    """Whether a line of the panel has a value of any of these."""
    tables = [table for line in panel.lines for table in (line.cells, line.extra)]
    return any(
        bool(np.isfinite(table[name].astype(float)).any())
        for table in tables
        if table is not None
        for name in columns
        if name in table
    )


def _dodged(lines: Sequence[Line], log: bool) -> list[Line]:
    """The lines, each a little beside the others."""
    own = [i for i, line in enumerate(lines) if line.cells is not None]
    moved = list(lines)
    for rank, i in enumerate(own):
        by = rank - (len(own) - 1) / 2
        tables = [_moved(table, by, log) for table in lines[i][1:]]
        moved[i] = Line(lines[i].title, *tables)
    return moved


def _moved(table: pd.DataFrame | None, by: float, log: bool) -> pd.DataFrame | None:
    """`at` moved by so many steps of DODGE."""
    if table is None or table["at"].nunique() < 2:
        return table
    at = np.log(table["at"]) if log else table["at"]
    step = min(DODGE * np.diff(np.unique(at)).min(), MOST_DODGE * np.ptp(at))
    at = at + by * step
    return table.assign(at=np.exp(at) if log else at)


def _time_style(name: str, hue: Hue) -> dict[str, Any]:
    """Open marks on a dotted line, or full ones on a line."""
    is_grok = name == "t_grok"
    colour = hue.grok if is_grok else hue.mem
    return {
        **{"color": colour, "marker": hue.marker, "linestyle": "-" if is_grok else ":"},
        **{"markerfacecolor": colour if is_grok else "white"},
        **{"markersize": points(3.5), "markeredgewidth": points(0.8)},
        "linewidth": points(0.9),
    }


def _arrow(colour: str, full: bool) -> dict[str, Any]:
    """Up from where something still is: beyond a budget."""
    return {
        **{"linestyle": "none", "marker": "^", "color": colour},
        **{"markerfacecolor": colour if full else "none"},
        **{"markersize": points(3 if full else 4), "markeredgewidth": points(0.7)},
    }


def _draw_time(axes: Any, cells: pd.DataFrame, name: str, hue: Hue) -> None:
    """Medians with their quartiles; an arrow where the upper one is beyond."""
    known = cells[np.isfinite(cells[name]) & (cells[name] > 0)]
    x, middle = known["at"].to_numpy(), known[name].to_numpy(float)
    if not len(known):
        return
    low, high = (known[name + end].to_numpy(float) for end in ("_q25", "_q75"))
    beyond = ~np.isfinite(high)
    ends = np.array([middle - low, np.where(beyond, 0.0, high - middle)])
    style = _time_style(name, hue)
    # A gap in the line where a median is beyond what the runs show.
    line = np.where(np.isfinite(cells[name]), cells[name].astype(float), np.nan)
    axes.plot(cells["at"], line, **(style | {"marker": ""}))
    bars = style | {"linestyle": "none", "elinewidth": points(0.8)}
    axes.errorbar(x, middle, yerr=ends, **bars)
    axes.plot(x[beyond], middle[beyond] * 1.25, **_arrow(style["color"], full=True))


def _draw_runs(axes: Any, runs: pd.DataFrame, hue: Hue, dots: bool) -> None:
    """Each seed as a dot, where there is one line; the budget of each run that may
    still grok as an open arrow."""
    for name, colour in (("t_mem", hue.mem), ("t_grok", hue.grok)):
        known = runs[runs[name].notna() & (runs[name] > 0)]
        if dots and len(known):
            axes.plot(known["at"], known[name], **_dot(colour))
    cut = runs[runs["undecided"]]
    if len(cut):
        axes.plot(cut["at"], cut["n_steps"], **_arrow(hue.grok, full=False))


def _dot(colour: str) -> dict[str, Any]:
    look: dict[str, Any] = {"linestyle": "none", "marker": ".", "alpha": 0.35}
    return {**look, "markersize": points(2.5), "color": colour}


def _draw_share(axes: Any, cells: pd.DataFrame, hue: Hue) -> None:
    """P(grok) of decided runs; its interval holds whatever the others would do."""
    x, low, high = (
        cells[k].to_numpy(float) for k in ("at", "p_grok_low", "p_grok_high")
    )
    axes.vlines(x, low, high, color=hue.grok, linewidth=points(0.8))
    axes.plot(x, cells["p_grok"], **_time_style("t_grok", hue))


def _draw_extra(axes: Any, cells: pd.DataFrame, hue: Hue) -> None:
    """A gap in the line where there is no value, and no bar beyond what is known."""
    x, value = (cells[k].to_numpy(float) for k in ("at", "value"))
    value = np.where(np.isfinite(value), value, np.nan)
    low, high = (cells[end].to_numpy(float) for end in ("low", "high"))
    ends = np.array([value - low, high - value])
    ends = np.where(np.isfinite(ends), ends, 0.0).clip(0)
    bars = _time_style("t_grok", hue) | {"elinewidth": points(0.8)}
    axes.errorbar(x, value, yerr=ends, **bars)


def _has_extra(line: Line) -> bool:
    return line.extra is not None


def entries(
    panels: Sequence[LinePanel], by_title: dict[str, Hue], below: Below | None
) -> list[Line2D]:
    """The entries of the legend: what is drawn, and nothing else."""
    one = len(by_title) == 1
    grey = Hue(NEUTRAL, NEUTRAL, MARKERS[0])
    hue = next(iter(by_title.values())) if one else grey
    handles = [
        Line2D([], [], label=f"{words}: median, quartiles", **_time_style(name, hue))
        for name, words in TIMES.items()
        if any(is_known(panel, name) for panel in panels)
    ]
    handles += _mark_entries(panels, hue, one)
    share: Any = {"linestyle": "-", "linewidth": points(0.8), "color": hue.grok}
    handles.append(Line2D([], [], label=f"{P_GROK}: 95% interval", **share))
    known = any(is_known(panel, "value") for panel in panels)
    if below is not None and below.words and known:
        dark = Hue(DARK, DARK, MARKERS[0])
        own = any(x.cells is not None for p in panels for x in p.lines if _has_extra(x))
        style = _time_style("t_grok", dark if one or not own else grey)
        handles.append(Line2D([], [], label=below.words, **style))
    if not one:
        handles += [
            Line2D([], [], label=title, **_time_style("t_grok", own))
            for title, own in by_title.items()
        ]
    return handles


def _mark_entries(panels: Sequence[LinePanel], hue: Hue, one: bool) -> list[Line2D]:
    """Of dots and arrows."""
    lines = [line for panel in panels for line in panel.lines]
    runs = [line.runs for line in lines if line.runs is not None]
    handles = []
    if one and any(bool(t[[*TIMES]].notna().any(axis=None)) for t in runs):
        handles.append(Line2D([], [], label="a seed", **_dot(hue.grok)))
    if any(bool(table["undecided"].any()) for table in runs):
        words = "budget of an undecided run"
        handles.append(Line2D([], [], label=words, **_arrow(hue.grok, full=False)))
    cells = [line.cells for line in lines if line.cells is not None]
    ends = [(t[n], t[f"{n}_q75"]) for t in cells for n in TIMES if f"{n}_q75" in t]
    if any(bool((np.isfinite(m) & ~np.isfinite(q)).any()) for m, q in ends):
        words = "upper quartile beyond"
        handles.append(Line2D([], [], label=words, **_arrow(hue.grok, full=True)))
    return handles
