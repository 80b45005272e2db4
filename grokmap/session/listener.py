"""What a session of training tells while it works."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from grokmap.engine.execute import Progress
from grokmap.plan import Planned
from grokmap.spec.axis import Axis


class Listener:
    """Hears of a session's progress; every method here does nothing.

    `begin` and `end` enclose each stretch of training: a sweep has one, a refinement
    one a round.
    """

    def say(self, line: str) -> None:
        """Anything a user should know, as a line."""

    def planned(
        self, axes: Sequence[Axis], table: pd.DataFrame, before: pd.DataFrame
    ) -> None:
        """What the sweep is, before its training begins.

        Args:
          axes: that are swept; table: the plan, a row a run.
          before: rows of runs that were over before, as far as they are labelled.
        """

    def begin(self, missing: Sequence[Planned], n_planned: int, n_kept: int) -> None:
        """Training begins.

        Args:
          missing: the runs to train.
          n_planned: runs of the whole sweep.
          n_kept: steps of the missing runs that checkpoints already hold.
        """

    def progress(self, progress: Progress) -> None:
        """A chunk of steps is over."""

    def done(self, runs: pd.DataFrame) -> None:
        """Some runs are over: their rows, labelled by the default criteria."""

    def failed(self, run_ids: Sequence[str], trace: str) -> None:
        """Some runs raised; `trace` is the traceback."""

    def end(self) -> None:
        """Training is over, or was stopped."""
