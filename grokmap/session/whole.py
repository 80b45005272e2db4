"""Whether a result folder is whole, and what the next sweep would do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap import disk, plan, plugins, store
from grokmap.classify import CRITERIA
from grokmap.errors import ResultError
from grokmap.result.labels import label_runs, spec_of
from grokmap.session import checkpoint
from grokmap.session.folder import are_missing
from grokmap.session.shard import runs_for
from grokmap.spec import SCHEMA_VERSION, Sweep


def facts(path: Path) -> dict[str, Any]:
    """What there is, and every problem.

    Returns:
      planned, done, to_do: numbers of runs; of_these_kept: those of them that go on
      from a checkpoint; set_aside: files that were damaged once; problems: a line each,
      none where the folder is whole; plugins_not_loaded: those without which the plan
      could not be checked.
    """
    sweep = spec_of(path)
    absent = plugins.missing(sweep.plugins)
    # What the plugins would expand the sweep to is known from the written plan alone.
    table = store.read_plan(path) if absent else _table_of(path, sweep)
    steps, damaged, twice = store.stored(path)
    missing = table["run_id"][are_missing(path, table, steps)]
    places = checkpoint.places(path)
    ids = set(table["run_id"])
    problems = [
        *(() if absent else _plan_problems(path, table)),
        *(f"{file}: {reason}" for file, reason in damaged.items()),
        *_schema_problems(path),
        *(
            f"run {run}: done, but not in the plan"
            for run in sorted(steps.keys() - ids)
        ),
        *(f"run {run}: in several files" for run in sorted(twice)),
        *_label_problems(path),
        *_weights_problems(path, ids),
    ]
    return {
        "planned": len(table),
        "done": len(table) - len(missing),
        "to_do": len(missing),
        "of_these_kept": sum(run_id in places for run_id in missing),
        "set_aside": [str(file) for file in store.aside_files(path)],
        "problems": problems,
        "plugins_not_loaded": absent,
    }


def _table_of(path: Path, sweep: Sweep) -> pd.DataFrame:
    return plan.plan_table(runs_for(path, sweep), sweep)


def _plan_problems(path: Path, table: pd.DataFrame) -> Iterator[str]:
    """How plan.parquet differs from what sweep.toml expands to."""
    try:
        written = store.read_plan(path)
    except ResultError as error:
        yield from error.problems
        return
    here, there = set(table["run_id"]), set(written["run_id"])
    if here != there:
        yield (
            f"{path / store.PLAN}: {len(here - there)} runs of {store.SPEC} not in it, "
            f"{len(there - here)} of another sweep; the same `grokmap sweep` "
            "writes it again"
        )


def _schema_problems(path: Path) -> Iterator[str]:
    """Files that a later version wrote."""
    for file in store.batch_files(path):
        try:
            version = store.metadata_of(store.read_schema(file)).get("schema_version")
        except store.UNREADABLE:
            continue  # damaged or foreign: said already
        if isinstance(version, int) and version > SCHEMA_VERSION:
            newer = f"schema {version}, newer than {SCHEMA_VERSION}"
            yield f"{file}: {newer}; update grokmap"


def _label_problems(path: Path) -> Iterator[str]:
    """Whether runs.parquet is what the trajectories say."""
    file = path / store.RUNS
    if not disk.exists(file):
        return
    try:
        written = store.read_table(file, ["run_id", "phase", "n_steps"]).to_pandas()
        written = written.astype({"run_id": str, "phase": str, "n_steps": "Int64"})
        labelled, _ = label_runs(path, CRITERIA["default"], store.LABELS_READ)
    except (*store.UNREADABLE, ResultError) as error:
        why = disk.reason(error)
        yield f"{file}: damaged: {why}; `grokmap classify` writes it again"
        return
    both = written.merge(labelled, on="run_id", how="outer", suffixes=("", "_now"))
    same = (both["phase"] == both["phase_now"]) & (
        both["n_steps"] == both["n_steps_now"]
    )
    if not same.fillna(False).all():
        yield (
            f"{file}: {int((~same.fillna(False)).sum())} runs are not as their "
            "trajectories say; `grokmap classify` writes it again"
        )


def _weights_problems(path: Path, ids: set[str]) -> Iterator[str]:
    """Kept weights that cannot be read, or of a run that is not planned."""
    for run_id, step in sorted(store.kept_weights(path)):
        if run_id not in ids:
            name = path / store.weights_name(run_id, step)
            yield f"{name}: weights of a run that is not in the plan"
            continue
        try:
            store.read_weights(path, run_id, step)
        except ResultError as error:
            yield from error.problems
