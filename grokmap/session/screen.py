"""Progress on a terminal: a bar, the counts, and the plane of two swept axes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from grokmap.durations import human_time
from grokmap.session.counts import Counts
from grokmap.session.plane import Plane

# The display is drawn by a thread of its own, which takes time from training.
DRAWN_A_SECOND = 2.0
LINES_BESIDE_PLANE = 4  # the bar, the speed, the counts; the line of the cursor


class Screen:
    """A terminal: a bar, the counts, and below them the plane, where it has room.

    Only the numbers are read by the thread that draws; the plane is made into text by
    the thread that trains, when runs end or the terminal changes its size.
    """

    def __init__(self, counts: Counts, console: Console) -> None:
        self.counts, self.console = counts, console
        self.plane: Plane | None = None
        self.is_compiling = True
        self._drawn: Text | None = None
        self._size = console.size
        self._is_kept = False
        self._live = Live(
            get_renderable=self.shown,
            console=console,
            refresh_per_second=DRAWN_A_SECOND,
        )

    def start(self) -> None:
        self.is_compiling, self._is_kept = True, False
        self._draw()
        self._live.start()

    def update(self, line: Text) -> None:
        """After a chunk. The bar says what the line would."""
        self.is_compiling = self.counts.started is None
        if self.console.size != self._size:
            self._draw()

    def done(self, runs: pd.DataFrame) -> None:
        if self.plane:
            self.plane.done(runs)
            self._draw()

    def failed(self, run_ids: Sequence[str]) -> None:
        if self.plane:
            self.plane.failed(run_ids)
            self._draw()

    def stop(self) -> None:
        """Leaves the plane on the screen, if this stretch of training changed it."""
        self._live.transient = not self._is_kept
        self._live.stop()

    def _draw(self) -> None:
        before, self._size = self._drawn, self.console.size
        if self.plane:
            room = self._size.height - LINES_BESIDE_PLANE
            self._drawn = self.plane.text(self._size.width, room, _colours())
        self._is_kept |= before is not None and self._drawn != before

    def shown(self) -> Group:
        """What stands on the screen now."""
        counts = self.counts
        bar = Table.grid(padding=(0, 2))
        width = max(10, min(40, self._size.width // 3))
        bar.add_row(
            ProgressBar(total=1.0, completed=counts.share, width=width),
            Text(f"{counts.share:.0%}"),
            Text(f"{counts.runs_done}/{counts.total} runs", style="bold"),
            Text(f"ETA {human_time(counts.eta)}"),
        )
        line = "compiling" if self.is_compiling else counts.speed()
        lines = [Text(text, no_wrap=True) for text in (line, counts.phases())]
        return Group(bar, *lines, *([self._drawn] if self._drawn else []))


def _colours() -> dict[str, str]:
    """By phase, as in the figures."""
    from grokmap.plot.style import COLOURS

    return COLOURS
