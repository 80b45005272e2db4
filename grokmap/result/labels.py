"""The runs of a result folder as one table, labelled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from grokmap import store
from grokmap.classify import FLAGS, Criteria, classify_parts, read_criteria
from grokmap.errors import ResultError, SpecError
from grokmap.plan import read_sweep
from grokmap.spec import Sweep

Made = tuple[list[str], store.Origin]  # run ids of a file, and how it was made


def spec_of(path: Path) -> Sweep:
    """The sweep of a result, as strictly checked as a sweep file.

    Raises:
      SpecError, ResultError: it is not sound, or no result.
    """
    is_whole = store.shard_folders(path) == [] or (path / store.SPEC).is_file()
    if not is_whole and (waiting := store.waiting_runs(path)):
        raise ResultError(f"{store.waiting_line(path, len(waiting))} first")
    return read_sweep(store.result_dir(path))


def plan_of(path: Path) -> pd.DataFrame:
    """The planned runs of a result whose spec is sound.

    Raises:
      SpecError, ResultError: it is not, or the plan is not its plan.
    """
    spec_of(path)
    return store.read_plan(path)


def label_runs(
    path: Path,
    criteria: Criteria,
    columns: Sequence[str] | None = None,
    made: list[Made] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """(runs, lines): the finished runs, labelled again, and what could not be read.

    Args:
      columns: quantities whose final values are wanted (default: all).
      made: as of `store.trajectory_parts`.
    """
    table = plan_of(path)
    unreadable: list[str] = []
    parts = store.trajectory_parts(path, unreadable, columns, made)
    return classify_parts(parts, table, criteria), unreadable


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the result's path before what an analysis of its tables cannot do."""
    try:
        yield
    except ResultError as error:
        raise ResultError(f"{path}: {error}") from None


def rules_of(criteria: str | Criteria) -> Criteria:
    """Rules that tell what generalised by name; criteria: as of `read_criteria`.

    Raises:
      SpecError: no such rules, or a name of theirs is that of what did not generalise.
    """
    rules = read_criteria(criteria) if isinstance(criteria, str) else criteria
    _ = rules.generalised
    return rules


def criteria_with(criteria: str | Criteria, phases: Sequence[str]) -> Criteria:
    """Rules that call what generalised by one of `phases`.

    criteria: as of `classify.read_criteria`, or the rules themselves.

    Raises:
      SpecError: they do not, so that no run would seem to have grokked.
    """
    rules = read_criteria(criteria) if isinstance(criteria, str) else criteria
    generalised = rules.phases[2:]
    if set(generalised).isdisjoint(phases):
        raise SpecError(
            f"criteria {rules.name!r} have no phase {' or '.join(map(repr, phases))}, "
            f"but {' and '.join(map(repr, dict.fromkeys(generalised)))}; choose "
            "others, or a .toml file of the same bars without `phases`"
        )
    return rules


def refuse_ramps(path: Path, runs: pd.DataFrame) -> None:
    """Raises ResultError where weight decay was ramped: then a run has no one rate."""
    # Plans written before ramps existed have no such column.
    if "ramp_steps" in runs and runs["ramp_steps"].notna().any():
        raise ResultError(
            f"{path}: weight decay was ramped along the runs, so that they have no one "
            "decay rate; `grokmap hysteresis` is for ramps"
        )


def with_costs(
    path: Path, runs: pd.DataFrame, made: list[Made] | None = None
) -> pd.DataFrame:
    """`runs` with cost_s: each run's share of its batch's wall time, by steps.

    made: as of `store.trajectory_parts` (None: the files are read for it).
    """
    made = list(store.origins(path)) if made is None else made
    lengths = [len(ids) for ids, _ in made]
    shares = pd.DataFrame({"run_id": [run for ids, _ in made for run in ids]})
    shares["batch"] = np.repeat(np.arange(len(made)), lengths)
    shares["seconds"] = np.repeat([origin.seconds for _, origin in made], lengths)
    steps = runs.set_index("run_id")["n_steps"].astype(float)
    shares["steps"] = shares["run_id"].map(steps)
    shares = shares.dropna(subset="steps")
    whole = shares.groupby("batch")["steps"].transform("sum")
    shares["cost_s"] = shares["seconds"] * shares["steps"] / whole
    cost = shares.drop_duplicates("run_id", keep="last").set_index("run_id")["cost_s"]
    return runs.assign(cost_s=cost.reindex(runs["run_id"]).to_numpy(float))


def phase_counts(runs: pd.DataFrame, phases: Sequence[str]) -> dict[str, int]:
    """Runs by phase, then how many are censored, diverged, stalled, collapsed."""
    by_phase = runs["phase"].value_counts()
    counts = {phase: int(by_phase.get(phase, 0)) for phase in dict.fromkeys(phases)}
    return counts | {flag: int(runs[flag].sum()) for flag in FLAGS}
