"""Draws docs/terminal.svg: a terminal while the quickstart trains, 60% of it over.

    python benchmarks/terminal.py

The runs are those of results/quickstart-reference, in an order that is drawn; rate and
ETA are made up.
"""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from rich.console import Console

from grokmap import plan
from grokmap.engine.execute import Progress
from grokmap.result import Result
from grokmap.session.counts import Counts
from grokmap.session.plane import Plane
from grokmap.session.screen import Screen

ROOT = Path(__file__).parents[1]
OVER, SECONDS = 0.6, 50.0


class AfterAMinute(Counts):
    """Counts whose rate is that of SECONDS of training."""

    @property
    def rate(self) -> float:
        return self.steps_done / SECONDS


def screen_of(result: Result, over: pd.DataFrame, console: Console) -> Screen:
    """What a terminal shows once these runs are over."""
    planned = plan.plan_runs(result.spec)
    table = plan.plan_table(planned, result.spec)
    counts = AfterAMinute()
    screen = Screen(counts, console)
    counts.planned(result.spec.axes, table, over.iloc[:0])
    screen.plane = Plane(result.spec.axes, table)
    counts.begin(planned, len(planned), 0)
    steps = int(over["n_steps"].sum())
    spared = int(over["budget_steps"].sum()) - steps
    counts.progress(Progress(0, 0))
    counts.progress(Progress(steps, round(1.02 * steps), spared))
    counts.done(over)
    screen.done(over)
    screen.is_compiling = False
    return screen


def main() -> None:
    result = Result(ROOT / "results/quickstart-reference")
    over = result.labelled().sample(frac=OVER, random_state=0)
    console = Console(
        record=True, width=100, height=24, file=io.StringIO(), force_terminal=True
    )
    console.print(screen_of(result, over, console).shown())
    text = console.export_svg(title="grokmap sweep quickstart", unique_id="grokmap")
    # No font is fetched from elsewhere: the reader's own monospaced one does.
    kept, inside = [], False
    for line in text.splitlines():
        inside |= "@font-face" in line
        kept += [] if inside else [line.rstrip()]
        inside &= "}" not in line
    (ROOT / "docs/terminal.svg").write_text("\n".join(kept) + "\n")


if __name__ == "__main__":
    main()
