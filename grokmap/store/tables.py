"""The spec, the plan, what was found of runs, and the sessions of a result folder."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from grokmap.errors import ResultError
from grokmap.spec import AXES, CONTROL_FIELDS, SCHEMA_VERSION, Sweep
from grokmap.spec.words import LATER_CONTROLS
from grokmap.store.files import (
    PLAN,
    POINTS,
    PROVENANCE,
    RUNS,
    SPEC,
    content_digest,
    reason,
    result_dir,
    write_file,
    write_table,
)

# Those that came later are absent from older plans, which stay readable.
_CONTROLS = tuple(name for name in CONTROL_FIELDS if name not in LATER_CONTROLS)
PLAN_COLUMNS = ("run_id", "decay_rate", "horizon", "seed", *_CONTROLS)


def write_spec(path: Path, sweep: Sweep) -> None:
    """Writes the resolved spec: every key, axes as lists."""
    write_file(path / SPEC, tomli_w.dumps(sweep.resolved()).encode())


def read_spec(path: Path) -> Sweep:
    """The sweep of a result folder.

    Raises:
      ResultError: no result folder, or its spec is unreadable.
    """
    file = result_dir(path) / SPEC
    try:
        return Sweep.from_resolved(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ResultError(f"{file}: damaged: {reason(error)}") from None


def spec_hash(path: Path) -> str:
    """16 hex digits of the resolved spec's bytes."""
    return content_digest((path / SPEC).read_bytes())


def write_plan(
    path: Path, plan: pd.DataFrame, origin: dict[str, Any] | None = None
) -> None:
    """Writes the planned runs, one row each (`plan.plan_table`).

    origin: kept as JSON in the file's schema, beside the schema version.
    """
    table = pa.Table.from_pandas(plan, preserve_index=False)
    write_table(path / PLAN, table, origin or {})


def read_plan(path: Path) -> pd.DataFrame:
    """The planned runs.

    Raises:
      ResultError: no result folder, or no sound plan in it.
    """
    file = result_dir(path) / PLAN
    if not file.is_file():
        raise ResultError(f"{file}: missing; the same `grokmap sweep` writes it again")
    try:
        plan = pq.read_table(file, page_checksum_verification=True).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise ResultError(f"{file}: damaged: {reason(error)}") from None
    lost = [name for name in PLAN_COLUMNS if name not in plan]
    if lost or plan["run_id"].duplicated().any():
        what = f"has no {', '.join(lost)}" if lost else "has runs twice"
        raise ResultError(f"{file}: {what}; the same `grokmap sweep` mends it")
    return plan


def write_points(path: Path, points: pd.DataFrame) -> None:
    """Writes the points beside the grid: one row a run, one column an axis (fixed ones
    too, since axes may grow later), and `round`, in which it was chosen."""
    write_table(path / POINTS, pa.Table.from_pandas(points, preserve_index=False), {})


def read_points(path: Path) -> pd.DataFrame | None:
    """The points beside the grid; None where there are none.

    Raises:
      ResultError: the file is damaged.
    """
    file = path / POINTS
    if not file.is_file():
        return None
    try:
        points = pq.read_table(file, page_checksum_verification=True).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise ResultError(f"{file}: damaged: {reason(error)}; {_AGAIN}") from None
    wrong = _wrong_points(points, read_spec(path))
    if wrong:
        raise ResultError(f"{file}: {wrong}; {_AGAIN}")
    return points


_AGAIN = "remove it, and the same `grokmap refine` chooses the same runs again"


def _wrong_points(points: pd.DataFrame, sweep: Sweep) -> str:
    """Why these are no points of the sweep; empty if they are."""
    swept = ["round", *sweep.swept]
    lost = [name for name in swept if name not in points]
    if lost:
        return f"has no {', '.join(lost)}"
    axes = [axis for axis in AXES if axis in points]
    fixed = [axis for axis in axes if axis not in swept]
    for name in (*swept, *fixed):
        numbers = pd.to_numeric(points[name], errors="coerce")
        if not np.isfinite(numbers.to_numpy(float, na_value=np.nan)).all():
            return f"{name} is not a number in every row"
    for name in fixed:
        if (points[name] != getattr(sweep, name)[0]).any():
            return f"{name} is not the sweep's {getattr(sweep, name)[0]:g}"
    return "has runs twice" if points.duplicated(axes).any() else ""


def write_found(
    path: Path,
    found: pd.DataFrame,
    name: str = RUNS,
    origin: dict[str, Any] | None = None,
) -> Path:
    """Writes what was found of a sweep, such as the classified runs, one row each.

    origin: as in `write_plan`.
    """
    table = pa.Table.from_pandas(found, preserve_index=False)
    write_table(path / name, table, origin or {})
    return path / name


def write_export(file: Path, table: pd.DataFrame) -> None:
    """Writes a table where the user wants it, as CSV or Parquet by the file's suffix.

    Numbers are written in full: they read back as they are.
    """
    if file.suffix == ".csv":
        write_file(file, table.to_csv(index=False, lineterminator="\n").encode())
    else:
        write_found(file.parent, table, file.name)


def add_session(path: Path, session: dict[str, Any]) -> None:
    """Adds one session to provenance.json."""
    file = path / PROVENANCE
    sessions = []
    if file.is_file():
        try:
            sessions = json.loads(file.read_text(encoding="utf-8"))["sessions"]
        except (OSError, ValueError, KeyError):
            # Not ours to delete: kept beside the new file.
            file.rename(file.with_suffix(".unreadable.json"))
    document = {"schema_version": SCHEMA_VERSION, "sessions": [*sessions, session]}
    write_file(file, (json.dumps(document, indent=2) + "\n").encode())
