"""`grokmap merge`: unites shards and result folders, and says what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from grokmap.classify import PHASES
from grokmap.cli.opened import say
from grokmap.cli.results import print_counts
from grokmap.errors import shown
from grokmap.result.labels import phase_counts
from grokmap.session.merge import Merged, facts_of, line_of, merge

MOST_LINES = 20  # runs that differ, of which each is said


def merge_results(path: Path, others: Sequence[Path], as_json: bool) -> int:
    """Merges; the exit code: 6 where runs differ."""
    merged = merge(path, others, say)
    report(path, merged, as_json)
    return merged.code


def report(path: Path, merged: Merged, as_json: bool) -> None:
    """What is done now, on stdout; what could not be taken, on stderr."""
    taken = merged.taken
    for file, why in taken.damaged.items():
        say(f"{file}: left out: {why}")
    for each in taken.unequal[:MOST_LINES]:
        say(line_of(each))
    if len(taken.unequal) > MOST_LINES:
        say(f"... and {len(taken.unequal) - MOST_LINES} runs more that differ")
    counts = phase_counts(merged.runs, PHASES) if merged.done else {}
    if as_json:
        print(json.dumps(facts_of(merged, path) | counts))
        return
    n_equal = len(taken.equal)
    equal = f", {n_equal} that it had already, equal" if n_equal else ""
    print(
        shown(
            f"{path}: {merged.done} of {merged.planned} runs; {taken.runs} taken{equal}"
        )
    )
    if counts:
        print_counts(counts)
