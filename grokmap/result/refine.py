"""Which runs of a result to make next so that the wedge's edges become known."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd

from grokmap import store
from grokmap.analysis import refine as choice
from grokmap.classify import Criteria
from grokmap.errors import SpecError, short
from grokmap.result import groups
from grokmap.result.labels import rules_of
from grokmap.result.proposals import next_runs
from grokmap.result.result import Result
from grokmap.result.surface import Known, check_axes, edges_of, model_of
from grokmap.spec import AXES
from grokmap.spec.words import CHOICES

# Runs of a round over several axes, unless asked for. A model of all runs is fitted for
# each round, and each run is chosen given those before: rounds that grow with the runs
# keep the choosing a small part of the training.
LEAST, MOST, GROWTH = 4, 64, 1 / 8


class Wanted(NamedTuple):
    """What is to be known.

    x: the axis of the edges; y: that of the rows. precision: half-width of each edge's
    95% interval, in decades on a log axis, else in units of x. y_precision: closest
    distance of rows (None: the span of y / 24). max_runs: runs beside the grid, at
    most. batch: runs a round, about (None: those that trained together before). at: the
    values of other axes; without, the edges of all of them are placed. over: axes, x
    among them, over all of which the edges are placed at once, instead of in rows of y:
    by a model of all runs (`grokmap.result.surface`). precision is then what the
    half-widths of half of the edges have to be below.
    """

    x: str = "weight_decay"
    y: str = "alpha"
    precision: float = 0.08
    y_precision: float | None = None
    max_runs: int = 500
    criteria: str | Criteria = "default"
    batch: int | None = None
    at: groups.Place | None = None
    over: tuple[str, ...] = ()


class Round(NamedTuple):
    """The runs to make next, none if no run is left to choose, and, of a model over
    several axes, how precisely the edges are known before them."""

    points: pd.DataFrame
    known: Known | None = None


def check(result: Result, wanted: Wanted) -> None:
    """Raises SpecError: axes that are not swept, or have nothing between their values;
    numbers that are not above 0; criteria that are not known."""
    rules_of(wanted.criteria)
    if wanted.over:
        check_axes(result.at(wanted.at), wanted.over, wanted.x)
        if wanted.y_precision is not None:
            raise SpecError("--y-precision: is of rows, which --over has none of")
    else:
        _check_rows(result, wanted)
    for option, value in (
        ("--precision", wanted.precision),
        ("--y-precision", wanted.y_precision),
        ("--max-runs", wanted.max_runs),
    ):
        if value is not None and not 0 < value < math.inf:
            raise SpecError(f"{option} {value:g}: a number above 0")


def _check_rows(result: Result, wanted: Wanted) -> None:
    able = [axis.name for axis in result.axes if axis.is_real]
    for name in (wanted.x, wanted.y):
        if name not in able:
            raise SpecError(
                f"axis {short(repr(name))}: refine needs two swept axes of real "
                f"numbers; swept here: {', '.join(able) or 'none'}"
            )
    if wanted.x == wanted.y:
        raise SpecError(f"--x and --y are both {wanted.x}; choose two different axes")


def made(result: Result, wanted: Wanted) -> tuple[pd.DataFrame | None, int]:
    """The points chosen before, and how many more max_runs leaves; a smaller number
    than were made leaves none."""
    before = store.read_points(result.path)
    return before, max(0, wanted.max_runs - (0 if before is None else len(before)))


def next_round(result: Result, wanted: Wanted) -> Round:
    """The next round: one row a run, one column a swept choice or an axis."""
    if not wanted.over:
        return Round(next_points(result, wanted))
    model = model_of(result, wanted.over, wanted.x, wanted.criteria, wanted.at)
    known = edges_of(model, wanted.precision).known
    before, _ = made(result, wanted)
    n_rounds = 0 if before is None else int(before["round"].max())
    fixed = {axis: getattr(result.spec, axis)[0] for axis in AXES}
    fixed |= result.at(wanted.at).place
    grown = int(GROWTH * len(model.runs))
    batch = wanted.batch or min(MOST, max(LEAST, _lanes(result), grown))
    points = next_runs(model, result.spec, fixed, batch, n_rounds)
    is_reached = known.median <= wanted.precision
    return Round(points[:0] if is_reached else points, known)


def next_points(result: Result, wanted: Wanted) -> pd.DataFrame:
    """The same where edges are placed in rows of y."""
    here, sweep = result.at(wanted.at), result.spec
    runs = here.labelled(rules_of(wanted.criteria))
    places, _ = groups.panels(runs, here.axes, wanted.x, wanted.y)
    aim = _aim(result, runs, wanted)
    # The new runs are to be trained at the place.
    fixed = {axis: getattr(sweep, axis)[0] for axis in AXES} | here.place
    rows: list[dict[str, Any]] = []
    for group in places:
        place = fixed | {k: v for k, v in group.place.items() if v is not None}
        for x, y, seed in choice.choose(group.runs, sweep.seed, aim):
            rows.append(place | {wanted.x: x, wanted.y: y, "seed": seed})
    choices = [key for key in CHOICES if key in sweep.swept]
    return pd.DataFrame(rows, columns=[*choices, *AXES])


def _aim(result: Result, runs: pd.DataFrame, wanted: Wanted) -> choice.Aim:
    log = result.is_log(wanted.x, runs)
    span = float(runs[wanted.y].max() - runs[wanted.y].min())
    return choice.Aim(
        x=wanted.x,
        y=wanted.y,
        log=log,
        precision=wanted.precision * (math.log(10) if log else 1.0),
        y_precision=wanted.y_precision or span / 24,
        batch=wanted.batch or _lanes(result),
        grokked=rules_of(wanted.criteria).generalised,
    )


def _lanes(result: Result) -> int:
    """Runs that trained together before, at most."""
    lanes = [origin.lanes or 1 for _, origin in store.origins(result.path)]
    return max(lanes, default=1)
