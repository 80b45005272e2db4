"""The table of runs that failed in the last session."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from grokmap import disk, store


def write_failed(path: Path, table: pd.DataFrame, failed: dict[str, str]) -> None:
    """The runs that failed in this session, with their tracebacks; no file if none."""
    if not failed:
        _remove_failed(path)
        return
    rows = table[table["run_id"].isin(list(failed))]
    store.write_found(
        path, rows.assign(traceback=rows["run_id"].map(failed)), store.FAILED
    )


def _remove_failed(path: Path) -> None:
    """Removes the table of runs that failed before, if it is ours."""
    file = path / store.FAILED
    if disk.exists(file):
        try:
            ours = "schema_version" in store.metadata_of(store.read_schema(file))
        except store.UNREADABLE:
            ours = False
        if ours:
            disk.remove(path, store.FAILED)
