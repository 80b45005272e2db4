"""What is known of a session's progress: runs, run-steps, phases and the ETA."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import pandas as pd

from grokmap.classify import PHASES
from grokmap.durations import human_time
from grokmap.engine.execute import Progress
from grokmap.plan import Planned
from grokmap.result.labels import phase_counts
from grokmap.session.listener import Listener
from grokmap.spec.axis import Axis


class Counts(Listener):
    """Counts run-steps and phases of one session.

    The ETA comes from the remaining run-steps, since run lengths are heavy-tailed.

    Attributes:
      total: runs of the sweep; runs_done: those that are over.
      run_steps: run-steps left; all_steps: those of the whole sweep; steps_done: since
        the first chunk; lane_steps: of all lanes, busy or not.
      counts: runs that ended in this session, by phase and flag.
    """

    def __init__(self) -> None:
        self.total = self.runs_done = 0
        self.run_steps = self.steps_done = self.lane_steps = self.all_steps = 0
        self.counts: dict[str, int] = {}
        self.started: float | None = None

    def planned(
        self, axes: Sequence[Axis], table: pd.DataFrame, before: pd.DataFrame
    ) -> None:
        self.all_steps = int(table["budget_steps"].sum())

    def begin(self, missing: Sequence[Planned], n_planned: int, n_kept: int) -> None:
        self.total = n_planned
        self.runs_done = n_planned - len(missing)
        self.run_steps = sum(run.n_steps for run in missing) - n_kept
        self.all_steps = max(self.all_steps, self.run_steps)
        self.steps_done = self.lane_steps = 0
        self.counts, self.started = {}, None

    def progress(self, progress: Progress) -> None:
        if self.started is None:
            self.started = time.monotonic()
        else:
            # The first chunk only starts the clock: it may hold a compile.
            self.steps_done += progress.run_steps
        self.lane_steps += progress.lane_steps
        self.run_steps -= progress.run_steps + progress.spared

    def done(self, runs: pd.DataFrame) -> None:
        self.runs_done += len(runs)
        for name, count in phase_counts(runs, PHASES).items():
            self.counts[name] = self.counts.get(name, 0) + count

    @property
    def rate(self) -> float:
        """Run-steps per second since the first chunk; NaN while it is not known."""
        if self.started is None:
            return math.nan
        seconds = time.monotonic() - self.started
        rate = self.steps_done / seconds if seconds > 0 else math.nan
        return rate if math.isfinite(rate) else math.nan  # a clock that hardly advances

    @property
    def eta(self) -> float:
        """Seconds to the end; NaN while they are not known.

        Steps that are done again (after a device ran out of memory) are counted twice,
        so that less than nothing can be left.
        """
        if self.runs_done >= self.total:
            return 0.0
        rate = self.rate
        return max(0, self.run_steps) / rate if rate > 0 else math.nan

    @property
    def share(self) -> float:
        """The share of all run-steps that is done, or need not be: in [0, 1]."""
        if self.runs_done >= self.total:
            return 1.0
        left = self.run_steps / self.all_steps if self.all_steps else 1.0
        return min(1.0, max(0.0, 1.0 - left))

    def line(self) -> str:
        """What is known now, as one line."""
        return (
            f"{self.runs_done}/{self.total} runs   {self.speed()}   "
            f"ETA {human_time(self.eta)}   {self.phases()}"
        ).rstrip()

    def phases(self) -> str:
        """The runs that ended in this session, by phase and flag."""
        return "  ".join(f"{k} {v}" for k, v in self.counts.items() if v)

    def speed(self) -> str:
        """Run-steps a second, and how many lanes had a run."""
        busy = 100 * self.steps_done / self.lane_steps if self.lane_steps else 0
        rate = f"{self.rate:.3g} run-steps/s" if self.rate > 0 else "starting"
        return f"{rate}   lanes {busy:.0f}% busy"
