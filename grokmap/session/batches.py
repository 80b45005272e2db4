"""Runs that are over, held until there are enough of them for a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokmap import store
from grokmap.classify import FLAGS, classify
from grokmap.engine import execute
from grokmap.errors import ResultError
from grokmap.session import checkpoint
from grokmap.session.provenance import now
from grokmap.spec.kernels import is_kernel_column

# One file a run would be many small files; a run that waits longer is lost if killed.
RUNS_TOGETHER, SECONDS_TOGETHER = 256, 30.0


class Batches:
    """Labels runs as soon as they are over, and writes them many at a time.

    A batch is written once it has RUNS_TOGETHER runs or is SECONDS_TOGETHER old. Until
    then `unwritten` says what its runs are called, so that others can be told of them.

    Args:
      writer: of the folder `path`; table: the plan, by run id; origin: what each file
        says of where it is from.
    """

    def __init__(
        self,
        path: Path,
        writer: store.Writer,
        table: pd.DataFrame,
        origin: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._writer = path, writer
        self._table, self._origin, self._clock = table, origin, clock
        self._held: list[execute.Done] = []
        self._cut_short: set[str] = set()
        self._since = 0.0
        self.unwritten: dict[str, list[str]] = {}

    def take(self, done: execute.Done) -> pd.DataFrame:
        """Runs that have just ended; their rows, labelled by the default criteria."""
        if self._held and not _fit(self._held[0], done):
            self.write()
        if not self._held:
            self._since = self._clock()
        ids = [run.run.run_id for run in done.runs]
        labels = classify(_frame(done), self._table.loc[ids].reset_index())
        self._held.append(done)
        # A ramp is over at its end: there is no larger budget to go on with.
        cut_short = labels["censored"] & ~labels["ramped"]
        self._cut_short |= set(labels["run_id"][cut_short])
        self.unwritten |= words_of(labels)
        self.write_if_due()
        return labels

    def write_if_due(self) -> None:
        """Writes what is held, if it is enough or old enough."""
        waited = self._clock() - self._since > SECONDS_TOGETHER
        if self._held and (waited or len(self.unwritten) >= RUNS_TOGETHER):
            self.write()

    def write(self) -> None:
        """Hands what is held to the writer, and how the censored runs stood."""
        if not self._held:
            return
        held, self._held = self._held, []
        cut_short, self._cut_short, self.unwritten = self._cut_short, set(), {}
        steps = [of_run for done in held for of_run in done.steps]
        seconds = round(sum(done.seconds for done in held), 3)
        metadata = {"seconds": seconds, "ended": now(), **self._origin}
        self._writer.write(
            [run.run.run_id for done in held for run in done.runs],
            np.repeat(np.arange(len(steps)), list(map(len, steps))),
            np.concatenate(steps),
            held[0].columns,
            np.concatenate([of_run for done in held for of_run in done.values]),
            metadata | held[0].settings.facts(),
        )
        # After the records: an end without its records would be continued from nothing.
        ends = [end for done in held for end in done.ends if end.run_id in cut_short]
        if ends:
            self._writer.submit(checkpoint.write_ends, self._path, ends)


@contextmanager
def held(batches: Batches) -> Iterator[Batches]:
    """Writes what is held on leaving, also when an error passes through, which is then
    the one that is raised."""
    try:
        yield batches
    except BaseException:
        with suppress(ResultError):
            batches.write()
        raise
    batches.write()


def words_of(labels: pd.DataFrame) -> dict[str, list[str]]:
    """By run id: its phase, then the flags it has."""
    flags = labels[list(FLAGS)].to_numpy(bool)
    return {
        run_id: [
            phase,
            *(flag for flag, is_set in zip(FLAGS, row, strict=True) if is_set),
        ]
        for run_id, phase, row in zip(
            labels["run_id"], labels["phase"], flags, strict=True
        )
    }


def _fit(a: execute.Done, b: execute.Done) -> bool:
    """Whether two batches may stand in one file, which says how its runs were made."""
    same = (a.columns, a.settings) == (b.columns, b.settings)
    return same and a.runs[0].run.system == b.runs[0].run.system


def _frame(done: execute.Done) -> pd.DataFrame:
    frame = pd.DataFrame(np.concatenate(done.values), columns=list(done.columns))
    frame = frame[[name for name in frame if not is_kernel_column(name)]]
    frame.insert(0, "step", np.concatenate(done.steps))
    ids = [run.run.run_id for run in done.runs]
    frame.insert(0, "run_id", np.repeat(ids, list(map(len, done.steps))))
    return frame
