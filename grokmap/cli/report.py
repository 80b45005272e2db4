"""`grokmap report`: a page of one result or several, once or again and again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from grokmap import report
from grokmap.classify import read_criteria
from grokmap.cli.opened import open_result, say
from grokmap.durations import human_time, seconds_of
from grokmap.errors import SpecError, shown
from grokmap.session import standing

LEAST = 1.0  # seconds between two pages
SHARE = 10  # a page is made for at most about a tenth of the time


def write_report(
    paths: Sequence[Path],
    out: Path,
    criteria: str,
    show: str | None,
    live: bool,
    every: str,
    over: tuple[str, ...] = (),
    x: str = "weight_decay",
) -> int:
    """Writes the page and prints its name; the exit code.

    live: whether to write it again every so often until all runs are done, or Ctrl-C.
    over, x: axes of the edges that are placed over several at once, and their own.
    """
    rules = read_criteria(criteria)
    names = None if show is None else [name.strip() for name in show.split(",")]
    pause = _pause(every) if live else None
    results = [open_result(path) for path in paths]

    def write(again: float | None) -> float:
        started = time.monotonic()
        report.write(results, out, rules, names, again, report.Over(over, x))
        return time.monotonic() - started

    code = 0
    try:
        while pause is not None and not _all_done(paths):
            took = write(pause)
            say(f"{out}: {_done(paths)}; again in {human_time(pause)}")
            time.sleep(max(pause, SHARE * took))
    except KeyboardInterrupt:
        code = 130
    write(None)  # which does not load itself again
    print(shown(str(out)))
    return code


def _pause(every: str) -> float:
    seconds = seconds_of(every, "--every")
    if not LEAST <= seconds < float("inf"):
        raise SpecError(f"--every {every}: at least {LEAST:g}s, and some end")
    return seconds


def _all_done(paths: Sequence[Path]) -> bool:
    known = [standing.whole(path) for path in paths]
    return all(each.done >= each.planned and not each.at_work for each in known)


def _done(paths: Sequence[Path]) -> str:
    known = [standing.whole(path) for path in paths]
    done, planned = sum(k.done for k in known), sum(k.planned for k in known)
    return f"{done} of {planned} runs done"
