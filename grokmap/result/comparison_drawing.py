"""The figure of a comparison: both planes and the change, or lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokmap import plot
from grokmap.analysis import comparison as analysis
from grokmap.analysis.cells import TIMES
from grokmap.errors import SpecError, short
from grokmap.plot.lines import Below, Line, LinePanel
from grokmap.plot.one_axis import Axis as LineAxis
from grokmap.plot.one_axis import places
from grokmap.result import one_axis, planes, shading
from grokmap.result.caption import caption_of_two
from grokmap.result.comparison import Comparison
from grokmap.result.drawing import Drawing
from grokmap.result.groups import rounded
from grokmap.spec.axis import Axis

MOST_ROWS = 8


def draw(
    found: Comparison,
    colour: str = "t_grok",
    x: str | None = None,
    y: str | None = None,
    look: plot.Look = plot.PAPER,
) -> Drawing:
    """Phases of both, and the change of a quantity, cell by cell.

    Where cells differ along one number, lines: times, P(grok) and the change.

    Args:
      colour: t_mem, t_grok, delay (their ratio, b over a), p_grok (the difference),
        delay_ratio or a quantity that `compare` was told of (the ratio where it is
        drawn on a log scale, else the difference).
      x, y: as of `phase_diagram.draw`.
      look: of `plot.look_of`.

    Raises:
      SpecError: cells differ along no number, some do not read x or y, or there are too
        many panels.
    """
    shading.check(found.sides[0], colour)
    axes = numbers_of(found)
    x, y = planes.chosen(axes, x, y)
    for name in (x, y):
        if name is not None and name not in planes.numbers(axes):
            able = ", ".join(planes.numbers(axes))
            raise SpecError(f"axis {short(repr(name))}: choose among {able}")
    _check_read(found, [name for name in (x, y) if name is not None])
    change, values = _changes(found, colour)
    cells = found.cells.assign(value=values)
    if y is None:
        return _lines(found, cells, x, change, colour, look)
    rows = _rows(found, cells, (x, y), colour)
    logs = {axis.name: axis.is_log for axis in axes}
    plane = plot.Plane(x, y, logs[x], logs[y])
    phases = plot.phases_of(found.rules.phases, found.rules.generalised)
    sides = plot.Sides(*_names(found), *_alone(colour))
    figure = plot.comparison_maps(
        rows, plane, phases, change, sides, look, _caption(found)
    )
    return Drawing(figure, cells)


def _names(found: Comparison) -> tuple[str, str]:
    """Of both, as they are called beside a figure."""
    a, b = found.sides
    apart = _apart(found)
    if a.path != b.path or not apart:
        return _tails(a.path, b.path)
    one, two = (
        plot.place_words({name: side.place[name] for name in apart}) for side in (a, b)
    )
    return one, two


def _tails(a: Path, b: Path) -> tuple[str, str]:
    """Of two folders as much of the end of their paths as tells them apart."""
    parts = [path.resolve().parts for path in (a, b)]
    most = max(map(len, parts))
    tails = ([Path(*p[-k:]) for p in parts] for k in range(1, most + 1))
    one, two = next((t for t in tails if t[0] != t[1]), (a.resolve().name,) * 2)
    return str(one), str(two)


def _apart(found: Comparison) -> list[str]:
    """The axes that both were sliced on, at other values."""
    a, b = (side.place for side in found.sides)
    return [name for name, value in a.items() if name in b and value != b[name]]


def _caption(found: Comparison) -> str:
    """What is fixed in both, and what tells them apart beside their names."""
    settings = {k: v for k, v in found.settings.items() if k not in _apart(found)}
    return caption_of_two(found.sides, found.runs, settings)


def _alone(colour: str) -> tuple[str, str]:
    """What one of the two alone does, and what cells are of which nothing is known."""
    if colour == "t_mem":
        return "memorises", "neither memorises"
    if colour in TIMES:
        return "groks", "neither groks"
    if colour == shading.P_GROK:
        return "", "nothing is decided in one"
    return "", "no value in one"


def _check_read(found: Comparison, names: Sequence[str]) -> None:
    """Raises SpecError where some cells do not read an axis that is drawn."""
    for name in names:
        unread = int(found.cells[name].isna().sum())
        if unread:
            raise SpecError(
                f"{name} is not read in {unread} of {len(found.cells)} cells; choose "
                "those that read it by --at, or other axes by --x and --y"
            )


def numbers_of(found: Comparison) -> list[Axis]:
    """The axes of numbers along which matched cells differ."""
    several = [axis for axis in _drawn(found) if found.cells[axis.name].nunique() > 1]
    able = planes.numbers(several)
    return [axis for axis in several if axis.name in able]


def _drawn(found: Comparison) -> list[Axis]:
    """The axes of cells, each as the side that sweeps it has it."""
    known = {axis.name: axis for side in found.sides[::-1] for axis in side.axes}
    return [known[name] for name in found.axes]


def _changes(found: Comparison, colour: str) -> tuple[plot.Shading, pd.Series]:
    """(what is drawn, [matched cells]): the change of a quantity from a to b."""
    if colour in TIMES:
        head = shading.LABELS[colour].partition(" (")[0]
        label = f"{head}, B over A"
        return plot.Shading(colour, label, True), found.cells[f"{colour}_ratio"]
    if colour == shading.P_GROK:
        label = "P(grok), B less A"
        return plot.Shading(colour, label, False), found.cells["p_grok_change"]
    if colour == shading.DELAY_RATIO:
        column, symbol, log = colour, r"$t_{\mathrm{grok}} / t_{\mathrm{mem}}$", True
    else:
        entry = found.sides[0].quantities[colour]
        column, symbol, log = f"final_{colour}", f"${entry.symbol}$", entry.log
    values = analysis.medians(found.matched, column, log)
    label = f"{symbol}, B {'over' if log else 'less'} A"
    return plot.Shading(colour, label, log), pd.Series(values, found.cells.index)


def _rows(
    found: Comparison, cells: pd.DataFrame, plane: tuple[str, str], colour: str
) -> list[plot.ComparedRow]:
    rest = [name for name in found.axes if name not in plane]
    groups = _by_place(cells, rest)
    if len(groups) > MOST_ROWS:
        sizes = ", ".join(f"{k} ({cells[k].nunique()} values)" for k in rest)
        ways = " ".join(f"--at {k}={rounded(cells[k].iloc[0])}" for k in rest)
        raise SpecError(
            f"{sizes} swept here too: {len(groups)} rows of panels, at most "
            f"{MOST_ROWS} fit on a figure. Keep one value of some: {ways}"
        )
    several = [name for name in rest if cells[name].nunique() > 1]
    rows = []
    for place, some in groups:
        a, b = (_there(table, place) for table in found.runs)
        words = _place_words(place, several)
        drawn = _cell_letters(some, plane, colour)
        rows.append(plot.ComparedRow(words, a, b, drawn))
    return rows


def _by_place(
    cells: pd.DataFrame, rest: Sequence[str]
) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """The cells of each place on the other axes; null where an axis is not read."""
    if not rest:
        return [({}, cells)]
    groups = cells.groupby(list(rest), sort=False, dropna=False)
    return [(dict(zip(rest, key, strict=True)), some) for key, some in groups]


def _place_words(place: Mapping[str, Any], several: Sequence[str]) -> str:
    """The place, on the axes that have several values."""
    read = {name: place[name] for name in several if pd.notna(place[name])}
    return plot.place_words(read)


def _there(runs: pd.DataFrame, place: Mapping[str, Any]) -> pd.DataFrame:
    """The runs at a place, matched or not."""
    if not place:
        return runs
    wanted = pd.DataFrame([place])
    return analysis.match(runs, wanted, list(place)).a


def _cell_letters(
    cells: pd.DataFrame, plane: tuple[str, str], colour: str
) -> pd.DataFrame:
    """Cells as `plot.ComparedRow` has them."""
    time = colour if colour in TIMES else "t_grok"
    alone = cells[f"{time}_in"].map({analysis.ONLY_A: "A", analysis.ONLY_B: "B"})
    letter = alone.fillna("") if colour in TIMES else pd.Series("", cells.index)
    return pd.DataFrame(
        {
            "x": cells[plane[0]].astype(float),
            "y": cells[plane[1]].astype(float),
            "value": cells["value"].astype(float),
            "letter": letter,
            "open": ~cells["decided"].astype(bool),
        }
    )


def _lines(
    found: Comparison,
    cells: pd.DataFrame,
    x: str,
    change: plot.Shading,
    colour: str,
    look: plot.Look,
) -> Drawing:
    """Small multiples of two lines, and the change below them."""
    rest = [name for name in found.axes if name != x]
    log = next(axis.is_log for axis in _drawn(found) if axis.name == x)
    groups = _by_place(cells, rest)
    if len(groups) > one_axis.MOST:
        ways = " ".join(f"--at {k}={rounded(cells[k].iloc[0])}" for k in rest)
        raise SpecError(
            f"{len(groups)} panels, at most {one_axis.MOST} fit on a figure. Keep one "
            f"value of some: {ways}"
        )
    names = _names(found)
    several = [name for name in rest if cells[name].nunique() > 1]
    panels = []
    for place, some in groups:
        lines = [
            one_axis.line_of(
                f"{letter}: {name}",
                one_axis.table(runs, x, found.rules),
                runs,
                (x, log),
                found.rules,
            )
            for letter, name, side in zip("AB", names, found.runs, strict=True)
            for runs in [_there(side, place)]
        ]
        extra = _extra(some, x, colour, log)
        lines.append(Line("", None, None, extra))
        panels.append(LinePanel(_place_words(place, several), lines))
    axis = LineAxis(plot.axis_label(x, found.runs[0]), log)
    none = _alone(colour)[1] if colour not in TIMES else "none of both"
    below = Below(
        change._replace(none=none),
        _line_words(found, change, colour),
        1.0 if change.log else 0.0,
    )
    figure = plot.axis_lines(panels, axis, below, look, _caption(found))
    return Drawing(figure, cells)


def _line_words(found: Comparison, change: plot.Shading, colour: str) -> str:
    """What the marks of the change are, where it has intervals."""
    name = _column(colour)
    ends = found.cells.get(f"{name}_low")
    has_ends = ends is not None and bool(np.isfinite(ends.astype(float)).any())
    return f"{change.label}: 95% interval" if has_ends else ""


def _column(colour: str) -> str:
    """The ends of its interval are columns that begin with this."""
    return "p_grok_change" if colour == shading.P_GROK else colour


def _extra(cells: pd.DataFrame, x: str, colour: str, log: bool) -> pd.DataFrame:
    """The change along the axis with its interval, where there is one."""
    name = _column(colour)
    nothing = pd.Series(np.nan, cells.index)
    at = places(cells[x].to_numpy(float), log)
    ends = {end: cells.get(f"{name}_{end}", nothing) for end in ("low", "high")}
    return pd.DataFrame({"x": cells[x], "at": at, "value": cells["value"], **ends})
