"""Weights of runs that are done: trained again to a step, compared, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap import store
from grokmap.engine.restored import Reached, facts_of, settings_of, weights_at
from grokmap.errors import ResultError
from grokmap.plan import Planned, by_system, read_sweep
from grokmap.result.moments import RunTimes, moment_of, step_at
from grokmap.session.folder import planned_in
from grokmap.session.lock import locked

Steps = dict[str, set[int]]  # by run id


class Kept(NamedTuple):
    """files: written now; problems: a line for each run that came out otherwise."""

    files: list[Path]
    problems: list[str]


def save_weights(
    path: Path,
    run_id: str,
    moments: Sequence[int | str],
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Trains a run of a result again and keeps its weights; the files, old and new.

    Args:
      run_id: as in the plan. moments: t_mem, t_grok, end, or steps.

    Raises:
      SpecError, ResultError: it has no such moment, or comes out otherwise here than
        it is stored. LockedError: the folder is being written.
    """
    steps = {step_at(path, run_id, moment) for moment in moments}
    with locked(path, say):
        store.refuse_links(path)
        planned = planned_in(path, read_sweep(store.result_dir(path), to_train=True))
        wanted = {run_id: steps} if steps else {}
        problems = _keep(path, planned, _missing(path, wanted)).problems
    if problems:
        raise ResultError(problems)
    return [path / store.weights_name(run_id, step) for step in sorted(steps)]


def keep_of_all(
    path: Path,
    planned: Sequence[Planned],
    runs: pd.DataFrame,
    moments: Sequence[int | str],
    should_stop: Callable[[], bool],
) -> Kept:
    """Keeps the weights of all finished runs at the moments that they have.

    runs: labelled, see `Result.labelled`.
    """
    wanted: Steps = {}
    for row in runs.itertuples():
        times = RunTimes(row.t_mem, row.t_grok, row.n_steps)
        steps = {moment_of(times, moment) for moment in moments}
        wanted[str(row.run_id)] = {step for step in steps if step is not None}
    return _keep(path, planned, _missing(path, wanted), should_stop)


def _missing(path: Path, wanted: Steps) -> Steps:
    """What is not kept yet."""
    kept = store.kept_weights(path)
    left = {
        run_id: {step for step in steps if (run_id, step) not in kept}
        for run_id, steps in wanted.items()
    }
    return {run_id: steps for run_id, steps in left.items() if steps}


def _keep(
    path: Path,
    planned: Sequence[Planned],
    missing: Steps,
    should_stop: Callable[[], bool] = lambda: False,
) -> Kept:
    kept = Kept([], [])
    for runs, reached in trained(path, planned, missing, should_stop):
        records = stored(path, runs)
        for one in reached:
            run_id = one.run.run_id
            differs = first_difference(records.get(run_id), one)
            if differs is None:
                facts = facts_of(one.run)
                file = store.write_weights(path, run_id, one.step, one.leaves, facts)
                kept.files.append(file)
            else:
                kept.problems.append(why(path, run_id, differs))
    return kept


def trained(
    path: Path,
    planned: Sequence[Planned],
    missing: Steps,
    should_stop: Callable[[], bool],
) -> Iterator[tuple[list[Planned], Iterator[Reached]]]:
    """Runs that are trained again together: of one system, in tiles of one size."""
    if not missing:
        return
    tiles = {run: made.tile for ids, made in store.origins(path) for run in ids}
    for runs in by_system(planned).values():
        groups: dict[int | None, list[Planned]] = {}
        for run in runs:
            if run.run.run_id in missing:
                groups.setdefault(tiles.get(run.run.run_id), []).append(run)
        for tile, group in groups.items():
            settings = settings_of(runs, tile)
            steps = {run_id: sorted(steps) for run_id, steps in missing.items()}
            yield group, weights_at(group, steps, settings, should_stop)


def stored(path: Path, runs: Sequence[Planned]) -> dict[str, pd.DataFrame]:
    """What losses and accuracies were recorded of these runs, by run id."""
    ids = [run.run.run_id for run in runs]
    records, _ = store.read_trajectories(path, store.LABELS_READ, ids)
    return {str(run_id): part for run_id, part in records.groupby("run_id")}


def first_difference(records: pd.DataFrame | None, one: Reached) -> int | None:
    """The first step whose record differs in any bit; None: there is none.

    A record of NaN, which ends a diverged run, says nothing of its weights.
    """
    if records is None:
        return 0
    names = [name for name in store.LABELS_READ if name in records]
    records = records[np.isfinite(records["train_loss"].to_numpy())]
    steps = records["step"].to_numpy()
    common, here, there = np.intersect1d(steps, one.steps, return_indices=True)
    before = records[names].to_numpy(np.float32)[here]
    places = [one.columns.index(name) for name in names]
    now = one.values[there][:, places]
    same = ((before == now) | (np.isnan(before) & np.isnan(now))).all(axis=1)
    return None if same.all() else int(common[~same][0])


def why(path: Path, run_id: str, step: int, what: str = "weights") -> str:
    """Why the weights, or what is made of them, are not those of the first training."""
    facts = next((made.facts for ids, made in store.origins(path) if run_id in ids), {})
    versions = facts.get("versions", {})
    jaxlib = versions.get("jaxlib") if isinstance(versions, dict) else None
    return (
        f"{path}: run {run_id}, trained again here, differs from its records from step "
        f"{step} on, so its {what} are not kept: another device or other versions "
        f"made it (jaxlib {jaxlib}, device {facts.get('device')}); use those, or train "
        "the sweep here in another folder (--out)"
    )
