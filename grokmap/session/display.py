"""Progress of a session: on a terminal, in a notebook, or as lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from grokmap.engine.execute import Progress
from grokmap.errors import shown
from grokmap.plan import Planned
from grokmap.session.counts import Counts
from grokmap.session.plane import Plane
from grokmap.session.screen import Screen
from grokmap.spec.axis import Axis

SECONDS_BETWEEN_LINES = 60.0


class Display(Counts):
    """Shows the counts on stderr: on a terminal a bar and the plane of two axes, in a
    notebook one line that is renewed, elsewhere a line now and then."""

    between = SECONDS_BETWEEN_LINES

    def __init__(self) -> None:
        super().__init__()
        self.last_line = time.monotonic()
        # Asked first: some versions of rich take a notebook for a terminal.
        self.live: Any = _notebook_line()
        console = Console(stderr=True)
        if self.live is None and console.is_terminal:
            self.live = Screen(self, console)

    def planned(
        self, axes: Sequence[Axis], table: pd.DataFrame, before: pd.DataFrame
    ) -> None:
        super().planned(axes, table, before)
        if isinstance(self.live, Screen):
            self.live.plane = Plane(axes, table)
            self.live.plane.done(before)

    def say(self, line: str) -> None:
        sys.stderr.write(f"grokmap: {shown(line)}\n")
        sys.stderr.flush()

    def begin(self, missing: Sequence[Planned], n_planned: int, n_kept: int) -> None:
        super().begin(missing, n_planned, n_kept)
        self.last_line = time.monotonic()
        if self.live:
            self.live.start()
            self.live.update(Text(f"{self.runs_done}/{self.total} runs   compiling"))

    def done(self, runs: pd.DataFrame) -> None:
        super().done(runs)
        if isinstance(self.live, Screen):
            self.live.done(runs)

    def progress(self, progress: Progress) -> None:
        super().progress(progress)
        now = time.monotonic()
        if self.live:
            self.live.update(Text(self.line()))
        elif now - self.last_line > self.between:
            self.last_line = now
            self.show()

    def failed(self, run_ids: Sequence[str], trace: str) -> None:
        if isinstance(self.live, Screen):
            self.live.failed(run_ids)
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
