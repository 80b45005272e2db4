"""The edges of the grok wedge in a result, and what half of the budget moves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap import plot, store
from grokmap.analysis import boundaries as wedge
from grokmap.classify import Criteria, classify_parts
from grokmap.errors import ResultError
from grokmap.result import groups
from grokmap.result.labels import rules_of
from grokmap.result.result import Result


class Boundaries(NamedTuple):
    """Edges along x in rows of y.

    table: one row an edge, see `analysis.boundaries.boundaries`; with shift and its
      interval, the factor (or, on a linear axis, the difference) by which half of the
      budget moves it.
    critical: where in y the wedge opens or closes.
    shifts: one row an edge, the mean of its shift over the rows.
    by: the axes beside x and y; log: whether x is read as its log;
      n_seeds: different seeds.
    """

    table: pd.DataFrame
    critical: pd.DataFrame
    shifts: pd.DataFrame
    by: list[str]
    log: bool
    n_seeds: int


def find(
    result: Result,
    x: str = "weight_decay",
    y: str = "alpha",
    criteria: str | Criteria = "default",
    budget: bool = True,
    at: groups.Place | None = None,
) -> Boundaries:
    """The edges, where the wedge opens or closes, and what half of the budget changes.

    Args:
      x: the axis that the edges are on; y: the axis of the rows.
      budget: whether to label everything again at half of every budget.
      at: the values of other axes, as in {"depth": 2}; without, each has its own rows.

    Raises:
      SpecError: x or y is no swept number. ResultError: no row has two values of x.
    """
    rules, result = rules_of(criteria), result.at(at)
    runs = result.labelled(rules)
    places, by = groups.panels(runs, result.axes, x, y)
    plane = result.plane(x, y, runs)
    half = at_half_budget(result, rules) if budget else None
    parts = [_group_tables(group, plane, rules, half) for group in places]
    edges, critical, moved = (
        pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)
    )
    if edges.empty:
        raise ResultError(f"{result.path}: no row has two values of {x}")
    n_seeds = pd.concat([group.runs for group in places])["seed"].nunique()
    log = plane.x_log
    return Boundaries(edges, critical, summary(moved, log), by, log, n_seeds)


def _group_tables(
    group: groups.Group, plane: plot.Plane, rules: Criteria, half: pd.DataFrame | None
) -> tuple[pd.DataFrame, ...]:
    """For one place on the other axes: edges with shifts, critical points, shifts."""
    x, y, log, y_log = plane
    runs, grokked = group.runs, rules.generalised
    edges = wedge.boundaries(runs, x, y, (), grokked, log=log)
    critical = wedge.critical(runs, y, (), grokked, log=y_log)
    moved = pd.DataFrame(columns=[y, "edge", "shift", "shift_low", "shift_high"])
    if half is not None:
        same = half[half["run_id"].isin(runs["run_id"])]
        before = wedge.boundaries(same, x, y, (), grokked, log=log)
        moved = wedge.shifts(edges, before, log)
    table = edges.merge(moved, how="left", on=[y, "edge"])
    return tuple(groups.with_place(each, group) for each in (table, critical, moved))


def at_half_budget(result: Result, rules: Criteria) -> pd.DataFrame:
    """The runs, labelled by what half of each budget would have shown."""
    plan = result.planned
    halved = plan.assign(horizon=plan["horizon"] / 2)
    parts = store.trajectory_parts(result.path, [], store.LABELS_READ)
    cut = (wedge.at_half_budget(part, plan) for part in parts)
    return classify_parts(cut, halved, wedge.halved(rules))


def summary(moved: pd.DataFrame, log: bool) -> pd.DataFrame:
    """One row an edge: the shift's mean over rows (geometric if log) and extremes."""
    rows = []
    for name, shifts in moved.groupby("edge")["shift"]:
        mean = np.exp(np.log(shifts).mean()) if log else shifts.mean()
        least, most = float(shifts.min()), float(shifts.max())
        rows.append((name, float(mean), least, most, len(shifts)))
    columns = ["edge", "shift", "least", "most", "n_rows"]
    return pd.DataFrame(rows, columns=columns)
