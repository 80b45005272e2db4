"""Which folder a sweep writes, whether it may, and what is missing there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import compress, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokmap import disk, plan, store
from grokmap.arrays import Bools
from grokmap.classify import CRITERIA, classify_parts
from grokmap.engine import devices
from grokmap.engine.restored import check_room
from grokmap.engine.step_size import choose_learning_rate
from grokmap.errors import OtherSweepError, ResultError, SpecError
from grokmap.plan import Planned, effective_precision, expand, read_sweep, run_at
from grokmap.plan.checks import check
from grokmap.spec import AUTO, AXES, Sweep
from grokmap.spec.budgets import BUDGETS
from grokmap.spec.sweep import HANDLING, KEYS, SWEEPABLE
from grokmap.spec.words import CHOICES, SYSTEM_SIZES

# Compared elsewhere, or of no run.
NO_PART_OF_RUNS = ("name", "plugins", "axis_kinds", *HANDLING)


def resolve(
    spec: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    out: Path | None = None,
    *,
    extend: bool = False,
    quick: bool = False,
    in_shards: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Path, Sweep]:
    """The result folder and the sweep, its learning rate chosen.

    Args:
      spec: as for `plan.read_sweep`.
      overrides: key=value in place of the file's.
      out: the result folder; default results/NAME, or `spec` if it is one.
      extend: whether budgets may be larger than those of the folder's sweep.
      quick: an automatic learning rate is chosen by the smallest and largest sizes
        only.
      in_shards: whether other processes train other parts of it: an automatic learning
        rate is then that which the first of them chose.
      say: told of a learning rate that was chosen.

    Raises:
      SpecError, ResultError: the file has problems, or the folder is another sweep's.
    """
    sweep = read_sweep(spec, overrides, to_train=True)
    is_folder = isinstance(spec, Path) and os.path.isdir(spec)
    path = out or (Path(str(spec)) if is_folder else Path("results") / sweep.name)
    for precision in sweep.points("precision"):
        effective_precision(precision, devices.platform())
    if sweep.is_open and (before := _chosen_before(path)) is not None:
        sweep = sweep.with_learning_rate(before)
    if sweep.is_open:
        chosen = _chosen(_ends_of_sizes(sweep) if quick else sweep)
        if in_shards and not quick:
            chosen = store.agree_on_rate(path, chosen)
        say(f'learning_rate = "auto": {chosen:g}')
        sweep = sweep.with_learning_rate(chosen)
    check_folder(path, sweep, extend)
    if sweep.save_weights:
        check_room(sweep, planned_in(path, sweep))
    if disk.exists(path / store.SPEC):
        sweep = sweep.with_kinds_of(store.read_spec(path))
    return path, sweep


def _chosen_before(path: Path) -> float | None:
    """The automatic learning rate that was chosen when the sweep began: the same
    number, whatever this machine finds."""
    if disk.exists(path / store.SPEC):
        before = store.read_spec(path)
        if before.learning_rate_choice == AUTO:
            return before.learning_rate[0]
    return store.agreed_rate(path)


def _ends_of_sizes(sweep: Sweep) -> Sweep:
    sizes = {key: getattr(sweep, key) for key in SYSTEM_SIZES}
    ends = {key: tuple(sorted({min(v), max(v)})) for key, v in sizes.items()}
    return sweep.model_copy(update=ends)


def _chosen(sweep: Sweep) -> float:
    try:
        return choose_learning_rate(sweep)
    except ValueError as error:
        raise SpecError(f'learning_rate = "auto": {error}; give a number') from None


def check_folder(path: Path, sweep: Sweep, extend: bool = False) -> None:
    """Refuses a folder that is no result, or the result of another sweep.

    extend: larger budgets than before are allowed.
    """
    if not disk.exists(path):
        return
    if not disk.exists(path / store.SPEC):
        # A sweep that was killed at once leaves its lock and half a file at most.
        # Shards may have begun before the folder that they are of.
        names = disk.names_in(path) if path.is_dir() else []
        others = [name for name in names if name[0] != "." and name != store.SHARDS]
        if others or not path.is_dir():
            raise ResultError(f"{path}: exists and is no sweep result; choose --out")
        return
    store.refuse_links(path)
    problems = list(differences(store.read_spec(path), sweep, extend))
    if problems:
        raise OtherSweepError(
            [f"{path}: holds another sweep: {problem}" for problem in problems]
            + [f"{path}: choose another name or --out, or undo the difference"]
        )


def differences(old: Sweep, new: Sweep, extend: bool) -> Iterator[str]:
    """Why `new` does not continue `old`. Axes and choices may grow; nothing else may
    change, as far as the runs of `old` read it."""
    lost = False
    for key in CHOICES:
        gone = [v for v in old.points(key) if v not in new.points(key)]
        lost |= bool(gone)
        if gone and not {key} & {*old.swept, *new.swept}:
            yield f"{key} was {old.points(key)[0]}, now {new.points(key)[0]}"
        elif gone:
            yield f"{key} had {', '.join(map(str, gone))}, which is gone"
    yield from _differences_of_plugins(old.plugins, new.plugins)
    differences: dict[str, None] = {}
    for chosen in () if lost else old.combinations():
        parts = plan.part_of(old, chosen), plan.part_of(new, chosen)
        differences |= dict.fromkeys(_differences_of_parts(*parts, extend))
    yield from differences


def _differences_of_plugins(
    old: tuple[str, ...], new: tuple[str, ...]
) -> Iterator[str]:
    """Plugins that trained or measured runs of the folder and are not the same now."""
    versions = {name: version for name, _, version in (k.partition(" ") for k in new)}
    for name, _, before in (label.partition(" ") for label in old):
        now = versions.get(name)
        if now is None:
            yield f"it has runs of plugin {name!r}, which is not used now"
        elif now != before:
            yield (
                f"plugin {name!r} was version {before}, now {now}, which trains or "
                "measures other runs"
            )


def _differences_of_parts(old: Sweep, new: Sweep, extend: bool) -> Iterator[str]:
    """The same of one combination of choices, which both have."""
    for key in KEYS:
        before, after = getattr(old, key), getattr(new, key)
        if key in AXES:
            lost = [value for value in before if value not in after]
            if lost:
                yield f"{key} had {', '.join(map(str, lost))}, which is gone"
        elif before != after and key not in NO_PART_OF_RUNS:
            grown = key in BUDGETS and before and after and after > before
            if not (grown and extend):
                hint = "; --extend continues what it cut short" if grown else ""
                yield f"{key} was {before}, now {after}{hint}"


def planned_in(path: Path, sweep: Sweep) -> list[Planned]:
    """The runs of the sweep's grid, and those that were chosen beside it."""
    return [run for runs in rounds_in(path, sweep) for run in runs]


def rounds_in(path: Path, sweep: Sweep) -> list[list[Planned]]:
    """The same: first those of the grid, then those of each round of a refinement."""
    points = store.read_points(path) if disk.exists(path / store.SPEC) else None
    if points is None:
        return [plan.plan_runs(sweep)]
    _check_points(path, sweep, points)
    places = points[[axis for axis in SWEEPABLE if axis in points]].to_dict("records")
    runs = [run_at(sweep, place) for place in places]
    # Axes may have grown onto points since.
    grid = {run.run_id for run in expand(sweep)}
    kept = [run.run_id not in grid for run in runs]
    planned = plan.plan_runs(sweep, list(compress(runs, kept)))
    n_points = sum(kept)
    n_grid = len(planned) - n_points
    numbers = points["round"].to_numpy()[np.array(kept, bool)]
    cuts = n_grid + np.flatnonzero(np.diff(numbers)) + 1
    bounds = [0, n_grid, *cuts.tolist(), len(planned)]
    return [planned[a:b] for a, b in pairwise(bounds) if b > a]


def _check_points(path: Path, sweep: Sweep, points: pd.DataFrame) -> None:
    """What a sweep file with these points would be refused for is refused here, too.

    Raises:
      ResultError: naming the points of every axis that cannot be trained.
    """
    problems: list[str] = []
    for axis in (key for key in sweep.swept if key in AXES):
        wider = sweep.model_copy(update={axis: tuple(points[axis].unique().tolist())})
        problems += check(wider, set(), frozenset())
    if problems:
        file = path / store.POINTS
        raise ResultError(
            [f"{file}: {text}" for text in dict.fromkeys(problems)]
            + [f"{file}: {store.POINTS_AGAIN}"]
        )


def missing_of(
    path: Path, planned: list[Planned], table: pd.DataFrame, steps: dict[str, int]
) -> list[Planned]:
    """The planned runs that are missing; `table` has a row for each, in their order."""
    return list(compress(planned, are_missing(path, table, steps)))


def are_missing(path: Path, table: pd.DataFrame, steps: dict[str, int]) -> Bools:
    """Whether each run is not done, or is one that a larger budget has to continue.

    table: the plan. steps: last step of each run on disk. A run that ended before its
    budget was either over (diverged, grokked and held, dead) or had a smaller budget
    and is censored under this one.
    """
    if not steps:
        return np.ones(len(table), bool)
    last = table["run_id"].map(steps).to_numpy(np.float64)
    missing = np.isnan(last)
    short = last < table["budget_steps"].to_numpy(np.float64)
    if short.any():
        parts = store.trajectory_parts(path, [], store.LABELS_READ)
        runs = classify_parts(parts, table[short], CRITERIA["default"])
        again = runs["run_id"][runs["censored"].to_numpy(bool)]
        missing |= table["run_id"].isin(again).to_numpy()
    return missing
