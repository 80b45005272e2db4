"""What a reproduction found, in its folder: JSON, and the table as CSV, markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap import disk
from grokmap.disk import reason
from grokmap.errors import ResultError
from grokmap.spec import SCHEMA_VERSION
from grokmap.store.files import UNREADABLE
from grokmap.store.tables import write_export

COMPARISON = "comparison.json"
MAX_BYTES = 1 << 22
FINDING = (
    "quantity",
    "published",
    "source",
    "tolerance",
    "measured",
    "spread",
    "holds",
)


def write_comparison(folder: Path, facts: dict[str, Any], text: str) -> Path:
    """Writes comparison.csv, comparison.md and, last, comparison.json.

    Args:
      facts: JSON, with "findings": one mapping with the keys of `FINDING` a finding.
      text: the same as markdown.
    """
    table = pd.DataFrame(facts["findings"], columns=list(FINDING))
    write_export(folder, "comparison.csv", table)
    disk.write_file(folder, "comparison.md", text.encode())
    document = {"schema_version": SCHEMA_VERSION, **facts}
    data = (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()
    return disk.write_file(folder, COMPARISON, data)


def read_comparison(folder: Path) -> dict[str, Any] | None:
    """The last comparison of a folder; None where there is none.

    Raises:
      ResultError: the file is damaged.
    """
    file = folder / COMPARISON
    if not disk.exists(file):
        return None
    try:
        comparison = json.loads(disk.read_bytes(file, MAX_BYTES))
        if comparison["findings"] and all(map(_is_finding, comparison["findings"])):
            return dict(comparison)
        why = "no findings in it, or of an earlier version"
    except UNREADABLE as error:
        why = reason(error)
    raise ResultError(
        f"{file}: damaged: {why}; the same `grokmap reproduce` writes it again"
    )


def _is_finding(row: Any) -> bool:
    """Whether a row has all that one of ours has: a verdict, and else texts."""
    if not isinstance(row, dict) or not isinstance(row.get("holds"), bool):
        return False
    return all(isinstance(row.get(name), str) for name in FINDING if name != "holds")
