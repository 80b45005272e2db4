"""Progress of a sweep: a live line on a terminal, plain lines or JSON otherwise."""

from __future__ import annotations

import json
import math
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.text import Text

from grokmap.classify import PHASES
from grokmap.cli.results import phase_counts

if TYPE_CHECKING:  # jax takes seconds to load, and lists of results need none
    from grokmap.engine.execute import Progress
    from grokmap.plan import Planned

SECONDS_BETWEEN_LINES = 10.0
MOST_DAYS = 999


def print_event(event: str, **values: Any) -> None:
    """One line of JSON on stdout; null for what is not known yet."""
    known = {k: None if _is_unknown(v) else v for k, v in values.items()}
    print(json.dumps({"event": event, **known}, allow_nan=False), flush=True)


def _is_unknown(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def human_time(seconds: float) -> str:
    """90 -> '1m30s'; unknown (NaN, inf) -> '-'; of what is over (below 0) '0s'."""
    if not math.isfinite(seconds):
        return "-"
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h" if days < MOST_DAYS else f">{MOST_DAYS}d"
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def human_bytes(count: float) -> str:
    """1500 -> '1.5 kB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


class Display:
    """Counts run-steps and phases of one session; `total` runs are planned in all.

    The ETA comes from the remaining run-steps, since run lengths are heavy-tailed.
    """

    def __init__(self, missing: list[Planned], total: int, as_json: bool) -> None:
        self.total = total
        self.runs_done = total - len(missing)
        self.run_steps = sum(run.n_steps for run in missing)
        self.steps_done = 0
        self.lane_steps = 0
        self.counts: dict[str, int] = {}
        self.started: float | None = None
        self.last_line = time.monotonic()
        self.as_json = as_json
        console = Console(stderr=True)
        on_terminal = console.is_terminal and not as_json
        self.live = Live(console=console, transient=True) if on_terminal else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
            self.live.update(Text(f"{self.runs_done}/{self.total} runs   compiling"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.live.stop()
        elif not self.as_json:
            print(self.line(), file=sys.stderr)

    def progress(self, progress: Progress) -> None:
        if self.started is None:
            self.started = time.monotonic()
        else:
            # The first chunk only starts the clock: it may hold a compile.
            self.steps_done += progress.run_steps
        self.lane_steps += progress.lane_steps
        self.run_steps -= progress.run_steps + progress.spared
        now = time.monotonic()
        if self.live:
            self.live.update(Text(self.line()))
        elif now - self.last_line > SECONDS_BETWEEN_LINES:
            self.last_line = now
            self._say()

    def done(self, runs: pd.DataFrame) -> None:
        """`runs`: the classified runs of a finished batch."""
        self.runs_done += len(runs)
        for name, count in phase_counts(runs, PHASES).items():
            self.counts[name] = self.counts.get(name, 0) + count

    def failed(self, ids: list[str], trace: str) -> None:
        reason = trace.strip().splitlines()[-1]
        text = f"{len(ids)} runs failed, from {ids[0]} on: {reason}"
        if self.as_json:
            print_event("failed", run_ids=ids, traceback=trace)
        print(f"grokmap: {text}\n{trace}", file=sys.stderr)

    @property
    def rate(self) -> float:
        """Run-steps per second since the first chunk."""
        if self.started is None:
            return math.nan
        seconds = time.monotonic() - self.started
        rate = self.steps_done / seconds if seconds > 0 else math.nan
        return rate if math.isfinite(rate) else math.nan  # a clock that all but stands

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
        busy = 100 * self.steps_done / self.lane_steps if self.lane_steps else 0
        phases = "  ".join(f"{k} {v}" for k, v in self.counts.items() if v)
        rate = f"{self.rate:.3g} run-steps/s" if self.rate > 0 else "starting"
        return (
            f"{self.runs_done}/{self.total} runs   {rate}   "
            f"lanes {busy:.0f}% busy   ETA {human_time(self.eta)}   {phases}"
        ).rstrip()

    def _say(self) -> None:
        if self.as_json:
            print_event(
                "progress",
                runs_done=self.runs_done,
                runs=self.total,
                run_steps_per_s=self.rate,
                eta_s=self.eta,
                phases=self.counts,
            )
        else:
            print(self.line(), file=sys.stderr, flush=True)
