"""At which step of a run its weights are wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap import store
from grokmap.classify import CRITERIA, classify
from grokmap.errors import ResultError, SpecError
from grokmap.result.labels import plan_of
from grokmap.spec.moments import END, NAMED, moment


class RunTimes(NamedTuple):
    """Times of a finished run in steps, by the default criteria; null: never.

    n_steps: its last step.
    """

    t_mem: Any
    t_grok: Any
    n_steps: Any


def times_of(path: Path, run_id: str) -> RunTimes:
    """The times of one run of a result.

    Raises:
      ResultError: it is not done yet.
    """
    records, _ = store.read_trajectories(path, store.LABELS_READ, [run_id])
    if len(records) == 0:
        raise ResultError(f"{path}: run {run_id} is planned, but not done yet")
    row = classify(records, plan_of(path), CRITERIA["default"]).iloc[0]
    return RunTimes(row["t_mem"], row["t_grok"], row["n_steps"])


def moment_of(times: RunTimes, at: int | str) -> int | None:
    """The step of a moment (`spec.moments`); None where the run has no such step."""
    named = dict(zip(NAMED, times, strict=True))
    step = named.get(at, at) if isinstance(at, str) else at
    return None if pd.isna(step) or step > times.n_steps else int(step)


def step_at(path: Path, run_id: str, at: int | str) -> int:
    """The step of a moment of one run.

    Raises:
      SpecError: no moment, or none that this run has. ResultError: it is not done.
    """
    try:
        wanted = moment(at)
    except ValueError as error:
        raise SpecError(f"at: {error}") from None
    times = times_of(path, run_id)
    step = moment_of(times, wanted)
    if step is not None:
        return step
    last = int(times.n_steps)
    if isinstance(wanted, int):
        raise SpecError(
            f"{path}: run {run_id} ended at step {last}, before {wanted}; give a step "
            f"up to {last}, or {END}"
        )
    raise SpecError(
        f"{path}: run {run_id} has no {wanted}: it never got there; give {END}, or a "
        f"step up to {last}"
    )
