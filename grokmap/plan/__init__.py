"""From a sweep file to runs with budgets: reading, checking, expanding, planning.

This is where a sweep's words meet the tables of what there is to train; `spec` knows
the words alone.
"""

from grokmap.plan.budgets import (
    Planned,
    by_system,
    decay_rate,
    longest,
    plan_runs,
    plan_table,
    scale_at,
    steps_of_epoch,
)
from grokmap.plan.choices import NAMES, PRECISIONS, effective_precision
from grokmap.plan.expansion import controls_read, count_runs, expand, part_of, run_at
from grokmap.plan.reader import read_sweep
from grokmap.plan.schema import sweep_schema

__all__ = [
    "NAMES",
    "PRECISIONS",
    "Planned",
    "by_system",
    "controls_read",
    "count_runs",
    "decay_rate",
    "effective_precision",
    "expand",
    "longest",
    "part_of",
    "plan_runs",
    "plan_table",
    "read_sweep",
    "run_at",
    "scale_at",
    "steps_of_epoch",
    "sweep_schema",
]
