"""`grokmap refine`: trains, round by round, the runs that place the wedge's edges."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap import plot, store
from grokmap.analysis import refine as choice
from grokmap.classify import read_criteria
from grokmap.cli.boundaries import find_boundaries
from grokmap.cli.display import display_of
from grokmap.cli.opened import say
from grokmap.cli.pasted import extend_command
from grokmap.cli.results import axis_is_log, load_runs
from grokmap.cli.sweep import Given, resolved
from grokmap.errors import ResultError, SpecError
from grokmap.result.labels import criteria_with, label_runs, spec_of
from grokmap.session import open_session, train_missing
from grokmap.spec import AXES, Sweep
from grokmap.spec.words import CHOICES

NOTHING = "no run is left to choose"
WHOLE = ("seed", "width", "modulus", "ramp_steps")  # axes with nothing between values


class Wanted(NamedTuple):
    """Of `grokmap refine`, as typed."""

    x: str
    y: str
    precision: float
    y_precision: float | None
    max_runs: int
    batch: int | None
    criteria: str


def refine_result(given: Given, wanted: Wanted, dry_run: bool) -> int:
    """Refines until no run is left to choose, or max_runs are made; the exit code."""
    if dry_run:
        _say_next(given, wanted)
        return 0
    criteria_with(wanted.criteria, plot.GENERALISED)  # refused before hours of training
    path, sweep = resolved(given)
    listener = display_of(given.as_json)
    with open_session(path, sweep, given.options, listener) as session:
        stop = session.stop
        _check(sweep, wanted)
        train_missing(session)
        while not stop.code and not session.failed:
            before, left = _made(path, wanted)
            points = next_points(path, sweep, wanted)[:left]
            if points.empty:
                break
            rounds = 1 if before is None else int(before["round"].max()) + 1
            n_before = wanted.max_runs - left
            say(f"round {rounds}: {len(points)} runs, {n_before} chosen before")
            points = points.assign(round=rounds)
            store.write_points(path, pd.concat([before, points], ignore_index=True))
            train_missing(session)
        if not stop.code:
            say(_reason(path, sweep, wanted, session.failed))
    try:
        find_boundaries(path, wanted.x, wanted.y, wanted.criteria, False, given.as_json)
    except ResultError as error:
        if not session.code:
            raise
        # Stopped, or failed, before there was anything to place an edge by.
        say(str(error))
    return session.code


def _made(path: Path, wanted: Wanted) -> tuple[pd.DataFrame | None, int]:
    """The points chosen before, and how many more --max-runs leaves; a smaller number
    than were made leaves none."""
    before = store.read_points(path)
    return before, max(0, wanted.max_runs - (0 if before is None else len(before)))


def _say_next(given: Given, wanted: Wanted) -> None:
    """Prints the next round; refuses what the round itself would refuse."""
    path = given.spec
    sweep = spec_of(path)
    _check(sweep, wanted)
    before, left = _made(path, wanted)
    n_before = 0 if before is None else len(before)
    others = [k for k in sweep.swept if k not in (wanted.y, wanted.x, "seed")]
    shown = [*others, wanted.y, wanted.x, "seed"]
    points = next_points(path, sweep, wanted)[:left][shown]
    if given.as_json:
        rows = points.to_dict("records")
        print(json.dumps({"chosen_before": n_before, "points": rows}))
    elif not left:
        print(f"--max-runs {wanted.max_runs} are made; a larger number goes on")
    else:
        print(points.to_string(index=False) if len(points) else NOTHING)


def next_points(path: Path, sweep: Sweep, wanted: Wanted) -> pd.DataFrame:
    """The next round: one row a run, one column an axis."""
    runs = load_runs(path, criteria_with(wanted.criteria, plot.GENERALISED))
    by = plot.multiples(runs, wanted.x, wanted.y)
    aim = _aim(path, runs, wanted)
    chosen = [key for key in CHOICES if key in sweep.swept]
    pooled = [key for key in chosen if key not in by]
    if pooled:
        raise SpecError(
            f"{', '.join(pooled)}: swept here, and edges would be those of a mixture; "
            "refine one of them in a folder of its own"
        )
    rows: list[dict[str, Any]] = []
    fixed = {axis: getattr(sweep, axis)[0] for axis in AXES}
    for point, panel in runs.groupby(by) if by else [((), runs)]:
        place = fixed | dict(zip(by, point, strict=True))
        for x, y, seed in choice.choose(panel, sweep.seed, aim):
            rows.append(place | {wanted.x: x, wanted.y: y, "seed": seed})
    return pd.DataFrame(rows, columns=[*chosen, *AXES])


def _aim(path: Path, runs: pd.DataFrame, wanted: Wanted) -> choice.Aim:
    log = axis_is_log(path, runs, wanted.x)
    span = float(runs[wanted.y].max() - runs[wanted.y].min())
    lanes = [made.lanes or 1 for _, made in store.origins(path)]
    return choice.Aim(
        x=wanted.x,
        y=wanted.y,
        log=log,
        precision=wanted.precision * (math.log(10) if log else 1.0),
        y_precision=wanted.y_precision or span / 24,
        batch=wanted.batch or max(lanes, default=1),
        grokked=plot.GENERALISED,
    )


def _check(sweep: Sweep, wanted: Wanted) -> None:
    """Raises: SpecError: an axis that is not swept, or takes whole numbers only."""
    for axis in (wanted.x, wanted.y):
        if axis not in sweep.swept or axis in WHOLE:
            able = [k for k in sweep.swept if k not in WHOLE]
            raise SpecError(
                f"axis {axis!r}: refine needs two swept axes of real numbers; "
                f"swept here: {', '.join(able) or 'none'}"
            )
    if wanted.x == wanted.y:
        raise SpecError(f"--x and --y are both {wanted.x}; choose two different axes")
    for option, value in (
        ("--precision", wanted.precision),
        ("--y-precision", wanted.y_precision),
        ("--max-runs", wanted.max_runs),
    ):
        if value is not None and not 0 < value < math.inf:
            raise SpecError(f"{option} {value:g}: a number above 0")


def _reason(path: Path, sweep: Sweep, wanted: Wanted, failed: dict[str, str]) -> str:
    """Why no further round was made."""
    if failed:
        return (
            f"{len(failed)} runs failed: see {store.FAILED}; the same command goes on"
        )
    if not next_points(path, sweep, wanted).empty:
        return f"--max-runs {wanted.max_runs} are made; a larger number goes on"
    runs, _ = label_runs(path, read_criteria(wanted.criteria), store.LABELS_READ)
    undecided = int(runs["censored"].sum())
    more = "nothing further that runs could tell"
    if undecided:
        extend = extend_command(path, sweep, runs)
        more += f"; {undecided} runs are censored: `{extend}`"
    return f"precision reached, or {more}"
