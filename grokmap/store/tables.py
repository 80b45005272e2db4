"""The spec, the plan, what was found of runs, and the sessions of a result folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import tomli_w

from grokmap import disk
from grokmap.disk import reason
from grokmap.errors import ResultError
from grokmap.spec import CONTROL_FIELDS, SCHEMA_VERSION, Sweep
from grokmap.spec.document import MAX_RESOLVED_BYTES
from grokmap.spec.sweep import MAX_RUNS
from grokmap.spec.words import LATER_CONTROLS
from grokmap.store.contents import wrong_plan, wrong_points
from grokmap.store.files import (
    FAILED,
    PLAN,
    POINTS,
    PROVENANCE,
    RUNS,
    SPEC,
    UNREADABLE,
    content_digest,
    read_table,
    result_dir,
    with_plain_texts,
    write_table,
)

MAX_PROVENANCE_BYTES = 1 << 26
# Those that came later are absent from older plans, which stay readable.
_CONTROLS = tuple(name for name in CONTROL_FIELDS if name not in LATER_CONTROLS)
PLAN_COLUMNS = ("run_id", "decay_rate", "horizon", "seed", *_CONTROLS)


def write_spec(path: Path, sweep: Sweep) -> None:
    """Writes the resolved spec: every key, axes as lists."""
    disk.write_file(path, SPEC, tomli_w.dumps(sweep.resolved()).encode())


def read_spec(path: Path) -> Sweep:
    """The sweep of a result folder.

    Raises:
      ResultError: no result folder, or its spec is unreadable.
    """
    file = result_dir(path) / SPEC
    try:
        return Sweep.from_resolved(disk.read_toml(file, MAX_RESOLVED_BYTES))
    except (*UNREADABLE, OverflowError, AttributeError) as error:
        raise ResultError(f"{file}: damaged: {reason(error)}") from None


def spec_hash(path: Path) -> str:
    """16 hex digits of the resolved spec's bytes."""
    return content_digest(disk.read_bytes(path / SPEC, MAX_RESOLVED_BYTES))


def write_plan(
    path: Path, plan: pd.DataFrame, origin: dict[str, Any] | None = None
) -> None:
    """Writes the planned runs, one row each (`plan.plan_table`).

    origin: kept as JSON in the file's schema, beside the schema version.
    """
    table = pa.Table.from_pandas(plan, preserve_index=False)
    write_table(path, PLAN, table, origin or {})


def read_plan(path: Path) -> pd.DataFrame:
    """The planned runs.

    Raises:
      ResultError: no result folder, or no sound plan in it.
    """
    file = result_dir(path) / PLAN
    if not disk.exists(file):
        raise ResultError(f"{file}: missing; the same `grokmap sweep` writes it again")
    plan = _read_frame(file, SWEEP_AGAIN)
    lost = [name for name in PLAN_COLUMNS if name not in plan]
    wrong = f"has no {', '.join(lost)}" if lost else wrong_plan(plan, read_spec(path))
    if wrong:
        raise ResultError(f"{file}: {wrong}; {SWEEP_AGAIN}")
    return plan


def _read_frame(file: Path, way_out: str) -> pd.DataFrame:
    """A table of a result folder; way_out: what to do if it is damaged.

    Raises:
      ResultError: it is damaged, or larger than any of ours.
    """
    try:
        table = with_plain_texts(read_table(file, most_rows=2 * MAX_RUNS))
        return table.to_pandas()
    except UNREADABLE as error:
        raise ResultError(f"{file}: damaged: {reason(error)}; {way_out}") from None


SWEEP_AGAIN = "the same `grokmap sweep` writes it again"


def write_points(path: Path, points: pd.DataFrame) -> None:
    """Writes the points beside the grid: one row a run, one column an axis (fixed ones
    too, since axes may grow later), and `round`, in which it was chosen."""
    write_table(path, POINTS, pa.Table.from_pandas(points, preserve_index=False), {})


def read_points(path: Path) -> pd.DataFrame | None:
    """The points beside the grid; None where there are none.

    Raises:
      ResultError: the file is damaged.
    """
    file = path / POINTS
    if not disk.exists(file):
        return None
    points = _read_frame(file, POINTS_AGAIN)
    wrong = wrong_points(points, read_spec(path))
    if wrong:
        raise ResultError(f"{file}: {wrong}; {POINTS_AGAIN}")
    return points


POINTS_AGAIN = "remove it, and the same `grokmap refine` chooses the same runs again"


def write_found(
    path: Path,
    rows: pd.DataFrame,
    name: str = RUNS,
    origin: dict[str, Any] | None = None,
) -> Path:
    """Writes what was found of a sweep, such as the classified runs, one row each.

    origin: as in `write_plan`.
    """
    table = pa.Table.from_pandas(rows, preserve_index=False)
    return write_table(path, name, table, origin or {})


def n_labelled(path: Path) -> int:
    """Rows of runs.parquet; 0 where there is none, or a damaged one."""
    try:
        return len(read_table(path / RUNS, ["run_id"]))
    except UNREADABLE:
        return 0


def read_failed(path: Path) -> dict[str, str]:
    """Tracebacks of the runs that failed in the last session, by run id; none where
    there is no such table, or a damaged one."""
    try:
        table = read_table(path / FAILED, ["run_id", "traceback"])
        columns = (table[name].to_pylist() for name in ("run_id", "traceback"))
        return {str(run): str(trace) for run, trace in zip(*columns, strict=True)}
    except UNREADABLE:
        return {}


def write_export(root: Path, name: str, table: pd.DataFrame) -> Path:
    """Writes a table where the user wants it, as CSV or Parquet by the name's suffix.

    Numbers are written in full: they read back as they are.
    """
    if name.endswith(".csv"):
        text = table.to_csv(index=False, lineterminator="\n")
        return disk.write_file(root, name, text.encode())
    return write_found(root, table, name)


def add_session(path: Path, session: dict[str, Any]) -> None:
    """Adds one session to provenance.json; what cannot be read is kept beside it."""
    _write_sessions(path, [*_sessions_so_far(path), session])


def add_sessions_of(path: Path, others: Iterable[Path]) -> None:
    """Adds the sessions of other result folders, those that are there already once."""
    sessions = _sessions_so_far(path)
    seen = {json.dumps(session, sort_keys=True) for session in sessions}
    found = []
    for file in (other / PROVENANCE for other in others):
        with suppress(*UNREADABLE):
            for session in _sessions(file):
                key = json.dumps(session, sort_keys=True)
                if key not in seen:
                    seen.add(key)
                    found.append(session)
    if found:
        _write_sessions(path, [*sessions, *found])


def _sessions_so_far(path: Path) -> list[Any]:
    if disk.exists(path / PROVENANCE):
        try:
            return _sessions(path / PROVENANCE)
        except UNREADABLE:
            disk.rename(path, PROVENANCE, "provenance.unreadable.json")
    return []


def _write_sessions(path: Path, sessions: list[Any]) -> None:
    document = {"schema_version": SCHEMA_VERSION, "sessions": sessions}
    data = (json.dumps(document, indent=2) + "\n").encode()
    disk.write_file(path, PROVENANCE, data)


def _sessions(file: Path) -> list[Any]:
    """Raises as `disk.read_bytes`; KeyError, TypeError, ValueError: other contents."""
    sessions = json.loads(disk.read_bytes(file, MAX_PROVENANCE_BYTES))["sessions"]
    if not isinstance(sessions, list) or not all(isinstance(s, dict) for s in sessions):
        raise TypeError("sessions are a list of tables")
    return sessions
