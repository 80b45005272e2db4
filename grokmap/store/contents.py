"""Checks that a table holds what grokmap could have written.

Tables are checked as strictly as a sweep file: a width of 1.5 in one would be trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.spec import AXES, Sweep
from grokmap.spec.points import Points
from grokmap.spec.sweep import SWEEPABLE, points_of
from grokmap.spec.words import (
    ALWAYS_READ,
    CHOICES,
    READ_WITH,
    STORED_AS,
    SYSTEM_FIELDS,
    SYSTEM_LISTS,
    SYSTEM_NUMBERS,
    SYSTEM_SIZES,
)

RUN_ID = r"[0-9A-Za-z_.-]{1,64}"
# What is neither on an axis nor a word of the sweep. Whole: a number of steps.
OWN = {
    "decay_rate": Points(ge=0),
    "horizon": Points(gt=0),
    "budget_steps": Points(whole=True, ge=0, le=10**12),
}
_ROUND = Points(whole=True, ge=1, le=10**9)


def wrong_plan(plan: pd.DataFrame, sweep: Sweep) -> str:
    """Why these are no runs of the sweep; empty if they are."""
    return next(_wrong_in_plan(plan, sweep), "")


def _wrong_in_plan(plan: pd.DataFrame, sweep: Sweep) -> Iterator[str]:
    ids = plan["run_id"]
    if plan.empty:
        yield "has no run"
        return
    if not pd.api.types.is_string_dtype(ids) or ids.isna().any():
        yield "run_id is not a text in every row"
        return
    if not ids.str.fullmatch(RUN_ID).all():
        yield "run ids that no run can have"
    if ids.duplicated().any():
        yield "has runs twice"
    for name, expected in _words(sweep).items():
        if name in plan and not _is_one_of(plan[name], expected).all():
            words = " or ".join(map(repr, expected))
            yield f"{name} is not the sweep's {words} in every row"
    for name in AXES:
        if name in plan:
            yield from wrong_values(_read_values(plan[name], sweep), points_of(name))
    for name, points in OWN.items():
        if name in plan and not (name == "horizon" and plan[name].isna().all()):
            yield from wrong_values(plan[name], points)


def _words(sweep: Sweep) -> dict[str, tuple[object, ...]]:
    """The choices of every run's system, as they are written in a table."""
    words = {
        STORED_AS.get(name, name): sweep.points(name)
        for name in SYSTEM_FIELDS
        if name not in (*SYSTEM_SIZES, *SYSTEM_NUMBERS, *SYSTEM_LISTS)
    }
    if len(words["task"]) * len(words["model"]) > 1:
        return words  # each has its own order parameters
    return words | {"order_parameters": (",".join(sweep.order_parameters or ()),)}


def _is_one_of(values: pd.Series, expected: Iterable[object]) -> npt.NDArray[np.bool_]:
    same = [(values == each).fillna(False).to_numpy(bool) for each in expected]
    return np.logical_or.reduce(same)


def _read_values(values: pd.Series, sweep: Sweep) -> pd.Series:
    """The values of an axis in the runs that read it: not null, and no size of 0.

    A sweep over choices has systems that read an axis and systems that do not; what
    belongs to a strength is read where that is on.
    """
    name = str(values.name)
    several = sweep.n_combinations > 1 and name not in (*ALWAYS_READ, "seed")
    several |= name in READ_WITH.values()
    is_null = values.isna()
    if name in SYSTEM_SIZES and (several or getattr(sweep, name) == (0,)):
        return values[~is_null & ~_is_one_of(values, [0])]
    unread = is_null.all() and name != "seed"
    return values[~is_null] if several or unread else values


def wrong_values(values: pd.Series, points: Points) -> Iterator[str]:
    """Why these are no points of an axis; nothing if they are."""
    kind = values.dtype
    if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        yield f"{values.name} is not a number in every row"
        return
    numbers = values.to_numpy(float, na_value=np.nan)
    wrong = ~points.allows(numbers)
    if wrong.any():
        yield f"{values.name} = {numbers[wrong][0]:g}: should be {points.words}"


def wrong_points(points: pd.DataFrame, sweep: Sweep) -> str:
    """Why these are no points of the sweep; empty if they are."""
    return next(_wrong_in_points(points, sweep), "")


def _wrong_in_points(points: pd.DataFrame, sweep: Sweep) -> Iterator[str]:
    lost = [name for name in ("round", *sweep.swept) if name not in points]
    if lost:
        yield f"has no {', '.join(lost)}"
        return
    yield from wrong_values(points["round"], _ROUND)
    axes = [axis for axis in SWEEPABLE if axis in points]
    for name in axes:
        if name in CHOICES:
            if not _is_one_of(points[name], sweep.points(name)).all():
                yield f"{name} is not the sweep's in every row"
        elif name in sweep.swept:
            yield from wrong_values(points[name], points_of(name))
        elif not (points[name] == getattr(sweep, name)[0]).fillna(False).all():
            yield f"{name} is not the sweep's {getattr(sweep, name)[0]:g}"
    if points.duplicated(axes).any():
        yield "has runs twice"
