"""Progress of a sweep as the command line shows it: lines on stderr, or JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence

from grokmap.cli.events import print_event
from grokmap.session.counts import Counts
from grokmap.session.display import Display


def display_of(as_json: bool) -> Display:
    """What shows a session's progress."""
    return JsonDisplay() if as_json else Display()


class JsonDisplay(Display):
    """Events as lines of JSON on stdout; what concerns people stays on stderr."""

    between = 10.0  # for programs, which read every line

    def __init__(self) -> None:
        Counts.__init__(self)
        self.live = None
        self.last_line = time.monotonic()

    def failed(self, run_ids: Sequence[str], trace: str) -> None:
        print_event("failed", run_ids=list(run_ids), traceback=trace)
        super().failed(run_ids, trace)

    def show(self) -> None:
        print_event(
            "progress",
            runs_done=self.runs_done,
            runs=self.total,
            run_steps_per_s=self.rate,
            eta_s=self.eta,
            phases=self.counts,
        )
