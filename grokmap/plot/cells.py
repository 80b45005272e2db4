"""Runs -> cells of a diagram, their edges, and the boundary between them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Floats


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


def boundary(cells: pd.DataFrame) -> list[tuple[tuple[float, float], ...]]:
    """Edges between neighbouring cells on the two sides of P(grok) = 1/2.

    Only where both labels are measured: no edge of a cell with a censored run. Off a
    grid, the edges of each line of cells (rows, or columns where these are fewer) are
    joined to those of the next.
    """
    if len(cells) < cells["x"].nunique() * cells["y"].nunique():
        return _boundary_of_lines(cells)
    measured = cells[cells["censored"] == 0]
    segments = []
    for along, across in (("x", "y"), ("y", "x")):
        for _, line in measured.groupby(across):
            line = line.sort_values(along)
            for one, two in zip(
                line.itertuples(), line.iloc[1:].itertuples(), strict=False
            ):
                touch = np.isclose(
                    getattr(one, f"{along}_high"), getattr(two, f"{along}_low")
                )
                if touch and (one.p_grok >= 0.5) != (two.p_grok >= 0.5):
                    at = getattr(two, f"{along}_low")
                    ends = [getattr(one, f"{across}_{end}") for end in ("low", "high")]
                    points = [(at, e) if along == "x" else (e, at) for e in ends]
                    segments.append(tuple(points))
    return segments


def _boundary_of_lines(cells: pd.DataFrame) -> list[tuple[tuple[float, float], ...]]:
    rows = cells["y"].nunique() <= cells["x"].nunique()
    along, across = ("x", "y") if rows else ("y", "x")
    segments: list[tuple[tuple[float, float], ...]] = []
    before: dict[bool, list[float]] = {}
    end = np.nan  # of the line before
    for _, line in cells.groupby(across):
        low, high = line[f"{across}_low"].iloc[0], line[f"{across}_high"].iloc[0]
        edges = _edges_of_line(line.sort_values(along), along)
        for upward, places in edges.items():
            segments += [((at, low), (at, high)) for at in places]
            others = before.get(upward, [])
            if np.isclose(low, end) and len(others) == len(places):
                pairs = zip(others, places, strict=True)
                segments += [((one, low), (two, low)) for one, two in pairs]
        before, end = edges, high
    if rows:
        return segments
    return [tuple((y, x) for x, y in segment) for segment in segments]


def _edges_of_line(line: pd.DataFrame, along: str) -> dict[bool, list[float]]:
    """Where P(grok) passes 1/2 along a line of cells: upward (True) and downward."""
    edges: dict[bool, list[float]] = {True: [], False: []}
    pairs = zip(line.itertuples(), line.iloc[1:].itertuples(), strict=False)
    for one, two in pairs:
        sides = one.p_grok >= 0.5, two.p_grok >= 0.5
        if sides[0] != sides[1] and one.censored == two.censored == 0:
            edges[sides[1]].append(getattr(two, f"{along}_low"))
    return edges
