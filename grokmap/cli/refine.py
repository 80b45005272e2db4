"""`grokmap refine`: trains, round by round, the runs that place the wedge's edges."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap import plot, store
from grokmap import refine as choice
from grokmap.classify import read_criteria
from grokmap.cli.boundaries import find_boundaries
from grokmap.cli.results import label_runs, load_runs
from grokmap.cli.sweep import Options, say, session_in, train_missing
from grokmap.errors import SpecError
from grokmap.spec import AXES, Sweep, is_log


class Wanted(NamedTuple):
    """Of `grokmap refine`, as typed."""

    x: str
    y: str
    precision: float
    y_precision: float | None
    max_runs: int
    batch: int | None
    criteria: str


def refine_result(options: Options, wanted: Wanted, dry_run: bool) -> int:
    """Refines until no run is left to choose, or max_runs are made; the exit code."""
    path = options.spec
    if dry_run:
        points = next_points(path, store.read_spec(path), wanted)
        _print_points(points, wanted)
        return 0
    with session_in(options) as (path, sweep, stop, session):
        _check(sweep, wanted)
        train_missing(path, sweep, options, stop, session)
        while not stop.code and not session.failed:
            before = store.read_points(path)
            n_before = 0 if before is None else len(before)
            points = next_points(path, sweep, wanted)[: wanted.max_runs - n_before]
            if points.empty:
                break
            rounds = 1 if before is None else int(before["round"].max()) + 1
            say(f"round {rounds}: {len(points)} runs, {n_before} chosen before")
            points = points.assign(round=rounds)
            store.write_points(path, pd.concat([before, points], ignore_index=True))
            train_missing(path, sweep, options, stop, session)
        reason = _reason(path, sweep, wanted, session.failed)
    if not stop.code:
        say(reason)
    find_boundaries(path, wanted.x, wanted.y, wanted.criteria, False, options.as_json)
    return session.code


def next_points(path: Path, sweep: Sweep, wanted: Wanted) -> pd.DataFrame:
    """The next round: one row a run, one column an axis."""
    runs = load_runs(path, read_criteria(wanted.criteria))
    by = plot.multiples(runs, wanted.x, wanted.y)
    aim = _aim(path, runs, wanted)
    rows: list[dict[str, Any]] = []
    fixed = {axis: getattr(sweep, axis)[0] for axis in AXES}
    for point, panel in runs.groupby(by) if by else [((), runs)]:
        place = fixed | dict(zip(by, point, strict=True))
        for x, y, seed in choice.choose(panel, sweep.seed, aim):
            rows.append(place | {wanted.x: x, wanted.y: y, "seed": seed})
    return pd.DataFrame(rows, columns=list(AXES))


def _aim(path: Path, runs: pd.DataFrame, wanted: Wanted) -> choice.Aim:
    decade = math.log(10) if is_log(runs[wanted.x]) else 1.0
    span = float(runs[wanted.y].max() - runs[wanted.y].min())
    lanes = [metadata.get("lanes", 1) for _, metadata in store.batch_metadata(path)]
    return choice.Aim(
        x=wanted.x,
        y=wanted.y,
        precision=wanted.precision * decade,
        y_precision=wanted.y_precision or span / 24,
        batch=wanted.batch or max(lanes, default=1),
        grokked=plot.GENERALISED,
    )


def _check(sweep: Sweep, wanted: Wanted) -> None:
    """Raises: SpecError: an axis that is not swept, or takes whole numbers only."""
    for axis in (wanted.x, wanted.y):
        if axis not in sweep.swept or axis in ("seed", "width", "modulus"):
            able = [k for k in sweep.swept if k not in ("seed", "width", "modulus")]
            raise SpecError(
                f"axis {axis!r}: refine needs two swept axes of real numbers; "
                f"swept here: {', '.join(able) or 'none'}"
            )
    if not wanted.precision > 0 or wanted.max_runs < 1:
        raise SpecError("--precision and --max-runs: above 0")


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
        more += f"; {undecided} runs are censored: `grokmap sweep {path} --extend`"
    return f"precision reached, or {more}"


def _print_points(points: pd.DataFrame, wanted: Wanted) -> None:
    shown = points[[wanted.y, wanted.x, "seed"]]
    print(shown.to_string(index=False) if len(shown) else "no run is left to choose")
