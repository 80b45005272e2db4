"""What is done of a result, and what is known of one run."""

from __future__ import annotations

from typing import Any

import pandas as pd

from grokmap import store
from grokmap.classify import Criteria, classify, read_criteria
from grokmap.errors import ResultError
from grokmap.result.labels import phase_counts, plan_of
from grokmap.result.result import Result
from grokmap.spec.words import with_new_names


def counts(result: Result) -> dict[str, Any]:
    """planned, done, missing: numbers of runs; unreadable_files: each with the reason;
    then runs by phase and flag, if any run is done."""
    table = plan_of(result.path)
    stored = store.stored(result.path)
    known = stored.steps.keys() & set(table["run_id"])
    rules = read_criteria("default")
    by_phase = phase_counts(result.labelled(rules), rules.phases) if known else {}
    return {
        "planned": len(table),
        "done": len(known),
        "missing": len(table) - len(known),
        "unreadable_files": [f"{f}: {why}" for f, why in stored.damaged.items()],
        **by_phase,
    }


def facts(result: Result, run: str, criteria: str | Criteria) -> dict[str, Any]:
    """One run: its place, label, times, flags and final values; records: how many.
    Settings are called as in a sweep file.

    Raises:
      SpecError: no such run. ResultError: it is not done.
    """
    rules = read_criteria(criteria) if isinstance(criteria, str) else criteria
    run_id = result.find(run)
    records = result.records(None, [run_id])
    if len(records) == 0:
        raise ResultError(f"{result.path}: run {run_id} is planned, but not done yet")
    row = classify(records, plan_of(result.path), rules).iloc[0]
    known = {key: plain(value) for key, value in row.items()}
    return {**with_new_names(known), "records": len(records)}


def plain(value: Any) -> Any:
    """A table's value as JSON has it; None for what is undefined or infinite."""
    if pd.isna(value) or value in (float("inf"), -float("inf")):
        return None
    return value.item() if hasattr(value, "item") else value
