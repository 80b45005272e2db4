"""What is kept of a GPU day: a JSON file a part, with a row for each measurement.

    {"part": "rates", "wanted": 72, "conditions": {...}, "rows": [
      {"of": {"p": 97, ...}, "outcome": "measured", "found": {...}, ...}, ...]}

The file is written again, under a temporary name and renamed, before and after every
measurement, so that whatever ends the process loses one measurement at most. The next
day measures what has no row, then what failed.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

# Outcomes of a measurement. "disagrees": measured, and outside of its tolerance.
# "too large": the device's memory was full. "absent": not to be had on this machine.
# "partial": goes on another day. "late": ended, since its part's time was over.
# "failed": it raised, or ended the process.
OVER = ("measured", "disagrees", "too large", "absent")


class Absent(Exception):
    """What is to be measured is not to be had on this machine; the text says why."""


class Measurement(NamedTuple):
    """of: what tells it apart from the others of its part. measure: returns what was
    found, as JSON can hold it; `agrees` and `complete`, where they are among it, decide
    the outcome."""

    of: dict[str, Any]
    measure: Callable[[], dict[str, Any]]


def read(folder: Path, part: str) -> dict[str, Any]:
    """The document of a part; one without rows if nothing is kept."""
    file = folder / f"{part}.json"
    if not file.exists():
        return {"part": part, "wanted": None, "rows": []}
    return json.loads(file.read_text(encoding="utf-8"))


def write(folder: Path, document: dict[str, Any]) -> None:
    """Replaces the document of its part, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{document['part']}.json"
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(document, indent=1) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def status(document: dict[str, Any]) -> str:
    """Of a part: not measured, partial, failed, disagrees or done."""
    outcomes = [row["outcome"] for row in document["rows"]]
    if document.get("crash") or "failed" in outcomes:
        return "failed"
    if not outcomes:
        return "not measured"
    if len(outcomes) < document["wanted"] or {"partial", "late"} & set(outcomes):
        return "partial"
    return "disagrees" if "disagrees" in outcomes else "done"


def with_row(document: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """The document with a row in place of the one of the same measurement."""
    others = [kept for kept in document["rows"] if kept["of"] != row["of"]]
    return {**document, "rows": [*others, row]}


def outcomes_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows by what they are of, as text."""
    return {json.dumps(row["of"], sort_keys=True): row for row in document["rows"]}


def to_do(
    document: dict[str, Any], measurements: Iterable[Measurement], day: str
) -> list[Measurement]:
    """What is not over, what was never tried first; nothing is tried twice a day."""
    rows = outcomes_of(document)

    def row_of(measurement: Measurement) -> dict[str, Any]:
        return rows.get(json.dumps(measurement.of, sort_keys=True), {})

    missing = [
        m
        for m in measurements
        if row_of(m).get("outcome") not in OVER and row_of(m).get("day") != day
    ]
    return sorted(missing, key=lambda m: bool(row_of(m)))


def measure_all(
    folder: Path,
    part: str,
    measurements: list[Measurement],
    conditions: dict[str, Any],
    day: str,
    is_over: Callable[[], bool],
) -> None:
    """Measures what is missing of a part, and keeps each row as soon as it is known.

    conditions: of the machine. day: names this day. is_over: whether to begin no more.
    """
    document = {**read(folder, part), "wanted": len(measurements)}
    document |= {"conditions": conditions, "skipped": ""}
    document.pop("crash", None)
    for measurement in to_do(document, measurements, day):
        if is_over():
            break
        # Should it end the process, this says what did.
        write(folder, {**document, "now": measurement.of})
        row = {**_row(measurement), "day": day, "commit": conditions.get("commit")}
        document = with_row(document, row)
        write(folder, document)
    write(folder, document)


def _row(measurement: Measurement) -> dict[str, Any]:
    """A measurement's row, whatever happens."""
    started = time.monotonic()
    row: dict[str, Any] = {"of": measurement.of}
    try:
        found = measurement.measure()
        row |= {"outcome": _outcome(found), "found": found}
    except Absent as why:
        row |= {"outcome": "absent", "why": str(why)}
    except Exception as error:
        full = "RESOURCE_EXHAUSTED" in str(error)
        row |= {"outcome": "too large" if full else "failed"}
        row["why"] = str(error).partition("\n")[0][:300] or type(error).__name__
        row |= {} if full else {"traceback": traceback.format_exc()}
    date = datetime.now(UTC).date().isoformat()
    return {**row, "seconds": round(time.monotonic() - started, 2), "date": date}


def _outcome(found: dict[str, Any]) -> str:
    if found.get("complete") is False:
        return "partial"
    return "disagrees" if found.get("agrees") is False else "measured"


def add_end(
    folder: Path, part: str, ended: dict[str, Any], is_late: bool, day: str
) -> bool:
    """Keeps that the process of a part was ended, or ended by itself.

    ended: `why`, and the end of its output as `traceback`. is_late: ended since its
    time was over; otherwise what it was measuring has failed. Returns whether the part
    can be gone on with in another process.
    """
    document = read(folder, part)
    of = document.pop("now", None)
    facts = {**ended, "day": day, "date": datetime.now(UTC).date().isoformat()}
    if of is not None:
        outcome = "late" if is_late else "failed"
        document = with_row(document, {"of": of, "outcome": outcome, **facts})
    elif is_late:
        document["skipped"] = f"{day}: no time was left"
    else:
        document["crash"] = facts
    write(folder, document)
    return of is not None and not is_late
