"""How far a session is, written now and then, so that `grokmap status` can say so."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from grokmap import store
from grokmap.engine.execute import Progress
from grokmap.errors import ResultError
from grokmap.session.batches import Batches
from grokmap.session.counts import Counts
from grokmap.session.listener import Listener

SECONDS_BETWEEN = 5.0


class Published:
    """Tells the listener of each chunk, and the folder every SECONDS_BETWEEN.

    Args:
      batches: what is over, but in no file yet; writer: of the folder `path`.
    """

    def __init__(
        self, path: Path, listener: Listener, writer: store.Writer, batches: Batches
    ) -> None:
        self.writer, self.batches = writer, batches
        self._path, self._listener = path, listener
        self._last = -SECONDS_BETWEEN

    def progress(self, done: Progress) -> None:
        self._listener.progress(done)
        self.batches.write_if_due()
        if time.monotonic() - self._last >= SECONDS_BETWEEN:
            self.now()

    def now(self) -> None:
        """Writes it now: after the batches that it takes for written."""
        self._last = time.monotonic()
        if isinstance(self._listener, Counts):
            known = facts(self._listener) | {"unwritten": dict(self.batches.unwritten)}
            self.writer.submit(_write, self._path, known)


def _write(path: Path, known: dict[str, Any]) -> None:
    # Where the disk is full, results that cannot be written say so.
    with suppress(ResultError):
        store.write_progress(path, known)


def facts(counts: Counts) -> dict[str, Any]:
    """time: seconds of the epoch; left_s: to the end, None while it is not known."""
    left = counts.eta
    return {
        "time": round(time.time(), 3),
        "runs_done": counts.runs_done,
        "runs": counts.total,
        "left_s": round(left, 1) if left == left else None,
    }
