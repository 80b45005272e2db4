"""Progress of a session: a live line on a terminal or in a notebook, else lines."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.text import Text

from grokmap.classify import PHASES
from grokmap.durations import human_time
from grokmap.engine.execute import Progress
from grokmap.errors import shown
from grokmap.plan import Planned
from grokmap.result.labels import phase_counts
from grokmap.session.listener import Listener

SECONDS_BETWEEN_LINES = 10.0


class Counts(Listener):
    """Counts run-steps and phases of one session.

    The ETA comes from the remaining run-steps, since run lengths are heavy-tailed.

    Attributes:
      total: runs of the sweep; runs_done: those that are over.
      run_steps: run-steps left; steps_done: since the first chunk; lane_steps: of all
        lanes, busy or not.
      counts: runs that ended in this session, by phase and flag.
    """

    def __init__(self) -> None:
        self.total = self.runs_done = 0
        self.run_steps = self.steps_done = self.lane_steps = 0
        self.counts: dict[str, int] = {}
        self.started: float | None = None

    def begin(self, missing: Sequence[Planned], n_planned: int, n_kept: int) -> None:
        self.total = n_planned
        self.runs_done = n_planned - len(missing)
        self.run_steps = sum(run.n_steps for run in missing) - n_kept
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

    def line(self) -> str:
        """What is known now, as one line."""
        busy = 100 * self.steps_done / self.lane_steps if self.lane_steps else 0
        phases = "  ".join(f"{k} {v}" for k, v in self.counts.items() if v)
        rate = f"{self.rate:.3g} run-steps/s" if self.rate > 0 else "starting"
        return (
            f"{self.runs_done}/{self.total} runs   {rate}   "
            f"lanes {busy:.0f}% busy   ETA {human_time(self.eta)}   {phases}"
        ).rstrip()


class Display(Counts):
    """Shows the counts on stderr: one live line on a terminal, one that is renewed in
    a notebook, elsewhere a line now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.last_line = time.monotonic()
        # Asked first: some versions of rich take a notebook for a terminal.
        self.live: Any = _notebook_line()
        console = Console(stderr=True)
        if self.live is None and console.is_terminal:
            self.live = Live(console=console, transient=True)

    def say(self, line: str) -> None:
        sys.stderr.write(f"grokmap: {shown(line)}\n")
        sys.stderr.flush()

    def begin(self, missing: Sequence[Planned], n_planned: int, n_kept: int) -> None:
        super().begin(missing, n_planned, n_kept)
        self.last_line = time.monotonic()
        if self.live:
            self.live.start()
            self.live.update(Text(f"{self.runs_done}/{self.total} runs   compiling"))

    def progress(self, progress: Progress) -> None:
        super().progress(progress)
        now = time.monotonic()
        if self.live:
            self.live.update(Text(self.line()))
        elif now - self.last_line > SECONDS_BETWEEN_LINES:
            self.last_line = now
            self.show()

    def failed(self, run_ids: Sequence[str], trace: str) -> None:
        reason = trace.strip().splitlines()[-1]
        self.say(f"{len(run_ids)} runs failed, from {run_ids[0]} on: {reason}")
        sys.stderr.write(f"{trace}\n")

    def end(self) -> None:
        if self.live:
            self.live.update(Text(self.line()))  # a notebook keeps it
            self.live.stop()
        else:
            self.show()

    def show(self) -> None:
        """Writes the line where nothing is live."""
        sys.stderr.write(f"{self.line()}\n")
        sys.stderr.flush()


class _NotebookLine:
    """A line of a notebook's output that is renewed in place."""

    def __init__(self, display: Any) -> None:
        self._display, self._handle = display, None

    def start(self) -> None:
        pass

    def update(self, text: Text) -> None:
        bundle = {"text/plain": text.plain}
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def stop(self) -> None:
        pass  # the last line stays, with what was done


def _notebook_line() -> _NotebookLine | None:
    """None outside of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return _NotebookLine(display)
