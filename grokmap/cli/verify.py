"""`grokmap verify`: whether a result folder is whole, and what the next sweep does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap import disk, plan, plugins, store
from grokmap.classify import CRITERIA
from grokmap.errors import ResultError, shown
from grokmap.result.labels import label_runs, spec_of
from grokmap.session import checkpoint, missing_ids, planned_in
from grokmap.spec import SCHEMA_VERSION, Sweep

EXIT_DAMAGED = 1


def verify_result(path: Path, as_json: bool) -> int:
    """Prints every problem of the folder and what is to do; 1 if there is a problem."""
    sweep = spec_of(path)
    absent = plugins.missing(sweep.plugins)
    # What the plugins would expand the sweep to is known from the written plan alone.
    table = store.read_plan(path) if absent else _table_of(path, sweep)
    steps, damaged, twice = store.stored(path)
    missing = missing_ids(path, table, steps)
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
    ]
    facts: dict[str, Any] = {
        "planned": len(table),
        "done": len(table) - len(missing),
        "to_do": len(missing),
        "of_these_kept": sum(run_id in places for run_id in missing),
        "set_aside": [str(file) for file in store.aside_files(path)],
        "problems": problems,
        "plugins_not_loaded": absent,
    }
    print(json.dumps(facts, indent=2) if as_json else _text(path, facts))
    return EXIT_DAMAGED if problems else 0


def _table_of(path: Path, sweep: Sweep) -> pd.DataFrame:
    return plan.plan_table(planned_in(path, sweep), sweep)


def _text(path: Path, facts: dict[str, Any]) -> str:
    kept = facts["of_these_kept"]
    goes_on = f", {kept} of them from where they are kept" if kept else ""
    lines = [
        *facts["problems"],
        *(f"plan not checked: {line}" for line in facts["plugins_not_loaded"]),
        *(f"{file}: set aside before; may be removed" for file in facts["set_aside"]),
        f"{path}: {facts['done']} of {facts['planned']} runs done; the next sweep "
        f"trains {facts['to_do']}{goes_on}",
    ]
    lines += ["no problem found"] if not facts["problems"] else []
    return "\n".join(map(shown, lines))


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
            f"{len(there - here)} of another sweep; the same `grokmap sweep` mends it"
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
