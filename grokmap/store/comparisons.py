"""What a reproduction found, in its folder: JSON, and the table as CSV, markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap.errors import ResultError
from grokmap.spec import SCHEMA_VERSION
from grokmap.store.files import reason, write_file
from grokmap.store.tables import write_export

COMPARISON = "comparison.json"
FINDING = ("quantity", "published", "tolerance", "measured", "spread", "holds")


def write_comparison(folder: Path, facts: dict[str, Any], text: str) -> Path:
    """Writes comparison.csv, comparison.md and, last, comparison.json.

    Args:
      facts: JSON, with "findings": one mapping with the keys of `FINDING` a finding.
      text: the same as markdown.
    """
    table = pd.DataFrame(facts["findings"], columns=list(FINDING))
    file = folder / COMPARISON
    write_export(file.with_suffix(".csv"), table)
    write_file(file.with_suffix(".md"), text.encode())
    document = {"schema_version": SCHEMA_VERSION, **facts}
    write_file(file, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
    return file


def read_comparison(folder: Path) -> dict[str, Any] | None:
    """The last comparison of a folder; None where there is none.

    Raises:
      ResultError: the file is damaged.
    """
    file = folder / COMPARISON
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        sound = all(set(FINDING) <= set(row) for row in found["findings"])
        if sound and found["findings"]:
            return dict(found)
        why = "no findings in it"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = reason(error)
    raise ResultError(
        f"{file}: damaged: {why}; the same `grokmap reproduce` writes it again"
    )
