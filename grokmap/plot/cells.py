"""Runs -> cells of a diagram, their edges, and the boundary between them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Floats

Segment = tuple[tuple[float, float], tuple[float, float]]


class Plane(NamedTuple):
    """The two axes of a diagram, and whether each is read as its log."""

    x: str
    y: str
    x_log: bool
    y_log: bool


class Cells(NamedTuple):
    """Runs gathered over seeds: one row a cell.

    Columns: x, y, x_low, x_high, y_low, y_high (edges, in plotted coordinates), phase
    (the commonest), top (the commonest that generalised), p_grok, censored and partial
    (shares of runs), shade (median of the quantity that colours the map; NaN: no run
    has it).
    """

    table: pd.DataFrame
    x_log: bool
    y_log: bool


def gather(
    runs: pd.DataFrame, plane: Plane, shade: str, grokked: Collection[str]
) -> Cells:
    """Gathers runs of one panel into cells, seeds together.

    grokked: the phases that generalised.
    """
    x, y, x_log, y_log = plane
    # On a decay_rate axis the cells of a row share alpha, not a column: cells are then
    # told apart by the weight decay that was swept.
    keys = ["weight_decay" if axis == "decay_rate" else axis for axis in (x, y)]
    if "decay_rate" in (x, y) and runs["weight_decay"].nunique() == 1:
        keys = [x, y]
    table = pd.DataFrame(
        [_cell(group, x, y, shade, grokked) for _, group in runs.groupby(keys)]
    )
    # Rows differ in x on a decay rate axis, and where `refine` added runs.
    ragged = len(table) < table["x"].nunique() * table["y"].nunique()
    by_row = x == "decay_rate" or (ragged and y != "decay_rate")
    table = with_edges(table, "x", x_log, by="y" if by_row else None)
    table = with_edges(table, "y", y_log, by="x" if y == "decay_rate" else None)
    return Cells(table, x_log, y_log)


def _cell(
    runs: pd.DataFrame, x: str, y: str, shade: str, grokked: Collection[str]
) -> dict[str, Any]:
    phases = runs["phase"].value_counts()
    generalised = [name for name in phases.index if name in grokked]
    # The median of a frame, since pandas 2 warns of that of a column without values.
    shades = runs[[shade]].astype(float).median()
    return {
        "x": float(runs[x].iloc[0]),
        "y": float(runs[y].iloc[0]),
        "phase": phases.idxmax(),
        "top": generalised[0] if generalised else None,
        "p_grok": float(runs["phase"].isin(grokked).mean()),
        "censored": float(runs["censored"].mean()),
        "partial": float(runs["partial"].mean()) if "partial" in runs else 0.0,
        "shade": float(shades.iloc[0]),
    }


def with_edges(
    table: pd.DataFrame, axis: str, log: bool, by: str | None
) -> pd.DataFrame:
    """Adds <axis>_low and <axis>_high: half-way to the neighbours.

    by: gives each of its values neighbours of its own, since decay rates are not on a
    grid: they follow from alpha and lambda.
    """
    low, high = pd.Series(0.0, table.index), pd.Series(0.0, table.index)
    groups = table.groupby(by).groups.values() if by else [table.index]
    for index in groups:
        points, place = np.unique(table.loc[index, axis], return_inverse=True)
        below, above = _half_way(points, log)
        low[index], high[index] = below[place], above[place]
    if by:  # a row that reaches the end of the axis shares it with the others
        first, last = (
            table[axis] == end for end in (table[axis].min(), table[axis].max())
        )
        low, high = low.mask(first, low[first].min()), high.mask(last, high[last].max())
    return table.assign(**{f"{axis}_low": low, f"{axis}_high": high})


def _half_way(points: Floats, log: bool) -> tuple[Floats, Floats]:
    """Edges below and above each of the sorted points, on a log or linear axis.

    On a log axis zero has no place: it stands one step below the smallest positive.
    """
    if len(points) == 1:
        width = 2.0 if log else 1.1
        span = points * width - points if points[0] else np.array([0.5])
        return points - span / 2, points + span / 2
    places = _places(points, log)
    middle = (places[1:] + places[:-1]) / 2
    ends = 2 * places[[0, -1]] - middle[[0, -1]]
    edges = np.concatenate([ends[:1], middle, ends[1:]])
    edges = np.exp(edges) if log else edges
    return edges[:-1], edges[1:]


def _places(points: Floats, log: bool) -> Floats:
    if not log:
        return points
    positive = np.log(points[points > 0])
    step = positive[1] - positive[0] if len(positive) > 1 else 1.0
    zero = [positive[0] - 1.5 * step] if points[0] == 0 else []
    return np.concatenate([zero, positive])


def boundary(cells: pd.DataFrame) -> list[Segment]:
    """The sides that cells share with neighbours beyond P(grok) = 1/2.

    Of two neighbours, in a grid or off one, the part of the side where they touch; so
    that lines meet, but never cross. Only where both labels are measured: no side of a
    cell with a censored run. A part that is not the whole side of both cells is left
    out where nothing leads to it.
    """
    measured = cells[cells["censored"] == 0]
    upright, upright_whole = _sides(measured, "x", "y")
    flat, flat_whole = _sides(measured, "y", "x")
    segments: list[Segment] = [((at, low), (at, high)) for at, low, high in upright]
    segments += [((low, at), (high, at)) for at, low, high in flat]
    return _joined(segments, [*upright_whole, *flat_whole], _frame(cells))


def _frame(cells: pd.DataFrame) -> tuple[set[float], set[float]]:
    """The ends of the plane along x and along y."""
    x, y = (
        {float(cells[f"{axis}_low"].min()), float(cells[f"{axis}_high"].max())}
        for axis in ("x", "y")
    )
    return x, y


def _joined(
    segments: list[Segment], whole: list[bool], frame: tuple[set[float], set[float]]
) -> list[Segment]:
    """Segments that are whole, or that others lead to from these or from the frame."""
    kept = [one for one, both in zip(segments, whole, strict=True) if both]
    reached = {end for one in kept for end in one}
    ends = {end for one in segments for end in one}
    reached |= {(x, y) for x, y in ends if x in frame[0] or y in frame[1]}
    while True:
        joined = [one for one in segments if reached & {*one}]
        further = {end for one in joined for end in one}
        if further <= reached:
            return joined
        reached |= further


def _sides(
    cells: pd.DataFrame, along: str, across: str
) -> tuple[list[tuple[float, float, float]], list[bool]]:
    """(place along, low and high across) of the sides between unlike neighbours, and
    whether each is the whole side of both."""
    ends = {"low": f"{across}_low", "high": f"{across}_high"}
    columns = cells[[*ends.values()]].set_axis([*ends], axis=1)
    columns = columns.assign(groks=cells["p_grok"] >= 0.5)
    one = columns.assign(at=cells[f"{along}_high"])
    two = columns.assign(at=cells[f"{along}_low"])
    pairs = one.merge(two, on="at", suffixes=("", "_2"))
    low = pairs[["low", "low_2"]].max(axis=1)
    high = pairs[["high", "high_2"]].min(axis=1)
    unlike = (pairs["groks"] != pairs["groks_2"]) & (low < high)
    whole = (pairs["low"] == pairs["low_2"]) & (pairs["high"] == pairs["high_2"])
    sides = list(zip(pairs["at"][unlike], low[unlike], high[unlike], strict=True))
    return sides, whole[unlike].tolist()


def leaves_gaps(
    cells: pd.DataFrame, log: tuple[bool, bool], within: pd.DataFrame | None = None
) -> bool:
    """Whether a panel that just holds the cells shows places where nothing was run.

    log: of x and y, whether the panel shows its log; within: cells that it holds, too.
    """
    shares = 1.0
    for axis, is_log in zip(("x", "y"), log, strict=True):
        ends = [f"{axis}_low", f"{axis}_high"]
        whole = (cells if within is None else within)[ends].to_numpy(float)
        edges = cells[ends].to_numpy(float)
        if is_log:
            whole, edges = np.log(whole), np.log(edges)
        shares = shares * (edges[:, 1] - edges[:, 0]) / np.ptp(whole)
    return bool(np.sum(shares) < 1 - 1e-6)
