"""Which run of a plan stands nearest to a place on its axes. No jax."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.errors import ResultError, SpecError, short
from grokmap.plan import run_at
from grokmap.spec import AXES, Run, Sweep
from grokmap.spec.names import nearest
from grokmap.spec.words import CHOICES, SYSTEM_SIZES

FORM = "write alpha=0.2,weight_decay=0.01"


def read_place(text: str) -> dict[str, float | str]:
    """Coordinates written as in `FORM`: numbers of axes, words of choices.

    Raises:
      SpecError: not of that form, or an axis given twice.
    """
    place: dict[str, float | str] = {}
    for part in text.split(","):
        axis, _, word = (word.strip() for word in part.partition("="))
        value = (word or None) if axis in CHOICES else _number(word)
        if value is None:
            raise SpecError(f"run {short(repr(text))}: no place on axes; {FORM}")
        if axis in place:
            raise SpecError(f"run {short(repr(text))}: {axis} is given twice")
        place[axis] = value
    return place


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def axes_of(plan: pd.DataFrame) -> list[str]:
    """The axes that the planned runs read, swept or not, and their decay rate."""
    known = [k for k in (*AXES, "decay_rate") if k in plan and plan[k].notna().all()]
    # A size of 0 marks an axis that the run does not read.
    return [k for k in known if k not in SYSTEM_SIZES or (plan[k] > 0).any()]


def with_choices(plan: pd.DataFrame, place: Mapping[str, float | str]) -> pd.DataFrame:
    """The planned runs with the choices of a place, if it names any.

    Raises:
      SpecError: no run has them.
    """
    for key in (key for key in CHOICES if key in place):
        words = plan[key].astype(str) if key in plan else pd.Series(dtype=str)
        given = str(place[key])
        rows = words.str.casefold() == given.casefold()
        if not rows.any():
            what = f"no run here with {key} {short(repr(given))}"
            raise SpecError(f"{what}; {nearest(given, sorted(set(words)))}")
        plan = plan[rows]
    return plan


def nearest_run(
    plan: pd.DataFrame, place: Mapping[str, float | str], log: Collection[str] = ()
) -> pd.Series:
    """The row of the run that is nearest to a place, of those with its choices.

    Distances along each named axis are shares of the axis' own span, of its logarithm
    for axes in `log`. Of runs that are as near, the one with the lowest seed, then the
    lowest values of the other axes.

    Raises:
      SpecError: an axis or a choice that the runs do not have.
    """
    plan = with_choices(plan, place)
    numbers = {k: float(v) for k, v in place.items() if k not in CHOICES}
    axes = axes_of(plan)
    for axis in numbers:
        if axis not in axes:
            what = f"no axis {short(repr(axis))} of these runs"
            raise SpecError(f"{what}; {nearest(axis, axes)}")
    order = ["seed", *(axis for axis in AXES if axis in axes and axis != "seed")]
    runs = plan.sort_values(order, kind="stable")
    away = [distance(runs[k].to_numpy(float), v, k in log) for k, v in numbers.items()]
    squares = np.square(away).sum(axis=0) if away else np.zeros(len(runs))
    # Rounding must not choose between runs that are as near.
    as_near = squares <= squares.min() * (1 + 1e-9) + 1e-24
    return runs.iloc[int(np.argmax(as_near))]


def distance(
    points: npt.NDArray[np.float64], wanted: float, log: bool
) -> npt.NDArray[np.float64]:
    """|points - wanted| in spans of the points; of their logarithms if `log`.

    Where 0 or less is wanted there is no logarithm, so the points themselves count.
    """
    if log and wanted > 0 and (points > 0).any():
        with np.errstate(divide="ignore", invalid="ignore"):
            places = np.where(points > 0, np.log(points), -np.inf)
        return _in_spans(places, math.log(wanted))
    return _in_spans(points, wanted)


def _in_spans(
    places: npt.NDArray[np.float64], wanted: float
) -> npt.NDArray[np.float64]:
    finite = places[np.isfinite(places)]
    low, high = float(finite.min()), float(finite.max())
    # Beyond the ends of an axis its outermost run is nearest, however far away.
    return np.abs(places - min(max(wanted, low), high)) / ((high - low) or 1.0)


def run_of(spec: Sweep, plan: pd.DataFrame, run_id: str) -> Run:
    """A planned run as system, control and seed.

    Raises:
      ResultError: the plan's row is not one of this sweep.
    """
    row = plan.set_index("run_id").loc[run_id]
    # A row is null, or a size 0, where the run does not read an axis.
    read = [k for k in spec.swept if k in row and not pd.isna(row[k])]
    run = run_at(spec, {k: row[k] for k in read})
    if run.run_id != run_id:
        raise ResultError(
            f"run {run_id}: its row of the plan is not of this sweep; the same "
            "`grokmap sweep` writes the plan again"
        )
    return run
