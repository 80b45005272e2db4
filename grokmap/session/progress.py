"""How far a session is, written now and then, so that `grokmap status` can say so."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from grokmap import store
from grokmap.engine.execute import Progress
from grokmap.errors import ResultError
from grokmap.session.display import Counts
from grokmap.session.listener import Listener

SECONDS_BETWEEN = 20.0


def published(path: Path, listener: Listener) -> Callable[[Progress], None]:
    """What to call after each chunk: tells the listener, and the folder at times."""
    last = -SECONDS_BETWEEN

    def progress(done: Progress) -> None:
        nonlocal last
        listener.progress(done)
        now = time.monotonic()
        if isinstance(listener, Counts) and now - last >= SECONDS_BETWEEN:
            last = now
            # Where the disk is full, results that cannot be written say so.
            with suppress(ResultError):
                store.write_progress(path, facts(listener))

    return progress


def facts(counts: Counts) -> dict[str, float | int | None]:
    """time: seconds of the epoch; left_s: to the end, None while it is not known."""
    left = counts.eta
    return {
        "time": round(time.time(), 3),
        "runs_done": counts.runs_done,
        "runs": counts.total,
        "left_s": round(left, 1) if left == left else None,
    }
