"""Which runs to make next so that the wedge's edges become known. Pure, deterministic.

Three things are done, in rounds: the interval of an edge that is known too coarsely is
halved, a row is put between two where an edge is not a straight line between them, and
rows are put where the wedge closes. No further run would decide what censoring leaves
open: that takes a larger budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap.analysis.boundaries import (
    BEYOND,
    MAX,
    MEASURED,
    MIN,
    NO_GROK,
    Edge,
    Row,
    edges,
    row_of,
)
from grokmap.classify import GROK

DIGITS = 6  # that the place of a new run is written with
ROUNDING = 10.0 ** (1 - DIGITS)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What is to be measured, and how precisely.

    x, y: the axis of the edges, and that of the rows. log: whether x is read as its
    log, as the sweep's own axis is (see `spec.is_log`). precision: half-width of each
    edge's 95% interval, in e-folds on a log axis, else in units of x; half of it is
    how far an edge may bend between two rows. y_precision: rows at this distance, in
    units of y, get none between them. batch: runs that the device trains well at once.
    """

    x: str = "weight_decay"
    y: str = "alpha"
    log: bool = True
    precision: float = 0.2
    y_precision: float = 0.05
    batch: int = 2
    grokked: Sequence[str] = (GROK,)


class Point(NamedTuple):
    """A run to make: its place on both axes (x in units of the axis) and its seed."""

    x: float
    y: float
    seed: int


class State(NamedTuple):
    """What the runs of one diagram say so far; rows by y, x in the units of `Row.x`."""

    rows: dict[float, Row]
    edges: dict[float, dict[str, Edge]]
    log: bool
    span: tuple[float, float]


def state_of(runs: pd.DataFrame, aim: Aim) -> State:
    """Args: runs: classified runs of one value on every axis but x, y and the seed."""
    rows = {
        float(y): row_of(group, aim.x, aim.log, aim.grokked)
        for y, group in runs.groupby(aim.y)
    }
    placed = dict(zip(rows, edges(list(rows.values())), strict=True))
    every = np.concatenate([row.x for row in rows.values()])
    return State(rows, placed, aim.log, (float(every.min()), float(every.max())))


def choose(runs: pd.DataFrame, seeds: Sequence[int], aim: Aim) -> list[Point]:
    """The runs of the next round; none if no further run would add to what is known.

    Each edge gets as many of them as fill the batch, at least one.
    """
    state = state_of(runs, aim)
    wanted = [*_in_rows(state, aim), *_new_rows(state, aim)]
    each = max(1, aim.batch // max(1, len(wanted)))
    points: list[Point] = []
    made = {
        float(y): list(zip(group[aim.x], group["seed"], strict=True))
        for y, group in runs.groupby(aim.y)
    }
    for y, low, high in wanted:
        shares = (np.arange(each) + 1) / (each + 1)
        tried = made.setdefault(y, [])
        ends = (_axis(low, state), _axis(high, state))
        for place in low + (high - low) * shares:
            x = float(f"{_axis(place, state):.{DIGITS}g}")
            seed = _seed(x, tried, ends, seeds)
            if seed is not None:
                points.append(Point(x, y, seed))
                tried.append((x, seed))
    return points


def _axis(place: float, state: State) -> float:
    return float(np.exp(place)) if state.log else float(place)


def _seed(
    x: float,
    tried: Sequence[tuple[float, int]],
    ends: tuple[float, float],
    seeds: Sequence[int],
) -> int | None:
    """The seed that was tried least between the ends, and never at x; None if all were.

    So the seeds take turns, and no edge rests on one of them.
    """
    free = [seed for seed in seeds if (x, seed) not in tried]
    near = [seed for at, seed in tried if ends[0] <= at <= ends[1]]
    return min(free, key=near.count, default=None)


Wanted = tuple[float, float, float]  # y, and the stretch of x to look in


def _in_rows(state: State, aim: Aim) -> Iterator[Wanted]:
    """Stretches of the existing rows in which an edge has to be looked for."""
    for y, wedge in state.edges.items():
        for name, edge in wedge.items():
            if edge.status == MEASURED:
                if edge.high - edge.low > 2 * aim.precision:
                    yield y, edge.low, edge.high
            elif edge.status == BEYOND:
                yield from _further(state, aim, y, name)
        if wedge[MIN].status == NO_GROK:
            yield from _gap(state, aim, y)


def _further(state: State, aim: Aim, y: float, name: str) -> Iterator[Wanted]:
    """The row's outermost cell groks: twice as far out, up to the end of the axis."""
    x = state.rows[y].x
    gaps = np.diff(x)
    # A run at the end may be off it by the rounding of its place.
    near = ROUNDING * max(1.0, *np.abs(state.span))
    if name == MIN and x[0] - state.span[0] > near:
        end = max(state.span[0], x[0] - max(2 * gaps[0], 2 * aim.precision))
        yield y, end, end
    if name == MAX and state.span[1] - x[-1] > near:
        end = min(state.span[1], x[-1] + max(2 * gaps[-1], 2 * aim.precision))
        yield y, end, end


def _gap(state: State, aim: Aim, y: float) -> Iterator[Wanted]:
    """Nothing groks in the row: the largest stretch that could hide a wedge like that
    of the next open row."""
    near = _nearest_open(state, y)
    if near is None:
        return
    wedge = state.edges[near]
    margin = 2 * aim.precision
    low, high = wedge[MIN].estimate - margin, wedge[MAX].estimate + margin
    x = state.rows[y].x
    inside = x[(x > low) & (x < high)]
    ends = np.concatenate([[low], inside, [high]])
    widest = int(np.argmax(np.diff(ends)))
    if ends[widest + 1] - ends[widest] > 2 * aim.precision:
        yield y, float(ends[widest]), float(ends[widest + 1])


def _is_open(wedge: dict[str, Edge]) -> bool:
    return wedge[MIN].status == MEASURED and wedge[MAX].status == MEASURED


def _nearest_open(state: State, y: float) -> float | None:
    """The row next to y whose wedge is measured; None if neither neighbour's is."""
    every = sorted(state.rows)
    i = every.index(y)
    beside = [every[k] for k in (i - 1, i + 1) if 0 <= k < len(every)]
    measured = [v for v in beside if _is_open(state.edges[v])]
    return min(measured, key=lambda v: abs(v - y), default=None)


def _new_rows(state: State, aim: Aim) -> Iterator[Wanted]:
    """Rows between two others: where an edge bends, and where the wedge closes."""
    every = sorted(state.rows)
    for below, above in zip(every, every[1:], strict=False):
        if above - below <= aim.y_precision:
            continue
        middle = float(f"{(below + above) / 2:.{DIGITS}g}")
        one, other = state.edges[below], state.edges[above]
        closed = [y for y in (below, above) if state.edges[y][MIN].status == NO_GROK]
        wedge = next((e for e in (one, other) if _is_open(e)), None)
        if len(closed) == 1 and wedge:
            if not any(_gap(state, aim, closed[0])):
                yield from _around(middle, wedge, wedge, aim.precision)
        elif _is_open(one) and _is_open(other):
            bend = max(
                interpolation_error(state.edges, (below, above), name)
                for name in (MIN, MAX)
            )
            if bend > aim.precision / 2:
                yield from _around(middle, one, other, max(bend, aim.precision))


def _around(
    y: float, one: dict[str, Edge], other: dict[str, Edge], reach: float
) -> Iterator[Wanted]:
    """Two runs around each edge of a new row, at `reach` from where it should be."""
    for name in (MIN, MAX):
        middle = (one[name].estimate + other[name].estimate) / 2
        for place in (middle - reach, middle + reach):
            yield y, place, place


def interpolation_error(
    placed: dict[float, dict[str, Edge]], between: tuple[float, float], name: str
) -> float:
    """How far an edge is, at least, from the straight line between two rows.

    An eighth of its second derivative times the distance squared, from the bend at each
    of the two rows with a measured neighbour on either side (the larger), less what the
    intervals of the three explain; 0 where neither has two.
    """
    known = sorted(y for y, wedge in placed.items() if wedge[name].status == MEASURED)
    step = between[1] - between[0]
    errors = [0.0]
    for y in between:
        i = known.index(y)
        if 0 < i < len(known) - 1:
            a, _, c = known[i - 1 : i + 2]
            weights = np.array([c - y, a - c, y - a]) / ((c - a) * (y - a) * (c - y))
            three = [placed[v][name] for v in (a, y, c)]
            second = 2 * abs(weights @ [edge.estimate for edge in three])
            halves = np.array([(edge.high - edge.low) / 2 for edge in three])
            noise = 2 * np.linalg.norm(weights * halves)
            errors.append(max(0.0, float(second - noise)) * step**2 / 8)
    return max(errors)
