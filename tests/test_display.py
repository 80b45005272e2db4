"""What a sweep says of its progress, whatever the clock and the counts do."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import pandas as pd
import pytest
from conftest import small_sweep
from hypothesis import example, given
from hypothesis import strategies as st

from grokmap import plan
from grokmap.classify import FLAGS
from grokmap.cli.display import Display, JsonDisplay
from grokmap.cli.events import print_event
from grokmap.durations import human_time
from grokmap.engine.execute import Progress
from grokmap.session import counts, display

RUNS = plan.plan_runs(small_sweep(seed="0,1,2,3"))  # of 100 steps each


class Clock:
    """A monotonic clock that shows what it is set to."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (counts, display):
        monkeypatch.setattr(module, "time", made)
    return made


def begun(kind: type[Display] = Display) -> Display:
    made = kind()
    made.begin(RUNS, 4, 0)
    return made


def finished(count: int) -> pd.DataFrame:
    return pd.DataFrame({"phase": ["grok"] * count, **dict.fromkeys(FLAGS, False)})


def test_the_eta_is_what_is_left_over_the_rate(clock: Clock) -> None:
    shown = begun()
    assert math.isnan(shown.eta) and "ETA -" in shown.line()
    shown.progress(Progress(run_steps=100, lane_steps=100))  # may hold a compile
    assert "starting" in shown.line() and "ETA -" in shown.line()
    clock.now = 10.0
    shown.progress(Progress(run_steps=100, lane_steps=100))
    assert shown.eta == pytest.approx(20.0)  # 200 steps at 10 a second
    shown.progress(Progress(run_steps=50, lane_steps=100, spared=150))
    shown.done(finished(4))
    assert shown.eta == 0 and "ETA 0s" in shown.line()


def test_at_the_end_nothing_is_left_whatever_was_counted(clock: Clock) -> None:
    shown = begun()
    for clock.now in (1.0, 2.0):
        shown.progress(Progress(run_steps=20, lane_steps=20))
    shown.done(finished(4))
    assert shown.eta == 0


STEPS = st.integers(0, 10**12)
MOMENTS = st.lists(
    st.tuples(st.floats(-1e18, 1e18), STEPS, STEPS), min_size=1, max_size=8
)


@given(MOMENTS)
@example([(-sys.float_info.min, 0, 0), (0.0, 4, 0)])
def test_no_clock_and_no_count_makes_nonsense(moments: Any) -> None:
    """Clocks that jump and stand still; steps that are done twice, or never."""
    made = Clock()
    with pytest.MonkeyPatch.context() as patch:
        for module in (counts, display):
            patch.setattr(module, "time", made)
        shown = begun(JsonDisplay)
        for made.now, steps, spared in moments:
            shown.progress(Progress(steps, steps, spared))
            assert math.isnan(shown.eta) or 0 <= shown.eta < math.inf
            line = shown.line()
            assert "nan" not in line and "inf" not in line
            assert "-" not in line.split("ETA ")[1].removeprefix("-")


def test_events_have_null_for_what_is_not_known(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    print_event("x", a=math.nan, b=math.inf, c=-math.inf, d=0.5, e=None, f="nan")
    document = json.loads(capsys.readouterr().out)
    assert document == {"event": "x", **dict.fromkeys("abce"), "d": 0.5, "f": "nan"}


def test_times_as_people_read_them() -> None:
    shown = {
        **{0.0: "0s", -3.0: "0s", 0.4: "0s", 59.4: "59s", 59.6: "1m00s"},
        **{90.0: "1m30s", 3599.9: "1h00m", 5400.0: "1h30m", 86400.0: "1d00h"},
        **{1e6: "11d13h", 1e300: ">999d", math.inf: "-", -math.inf: "-"},
    }
    assert {seconds: human_time(seconds) for seconds in shown} == shown
    assert human_time(math.nan) == "-"
    assert all(len(human_time(2.0**k)) <= 7 for k in range(1000))


def test_a_notebook_keeps_the_final_counts(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    class Handle:
        def update(self, bundle: dict[str, str], raw: bool) -> None:
            lines.append(bundle["text/plain"])

    def show(bundle: dict[str, str], raw: bool, display_id: bool) -> Handle:
        lines.append(bundle["text/plain"])
        return Handle()

    line = display._NotebookLine(show)
    monkeypatch.setattr(display, "_notebook_line", lambda: line)
    shown = begun(display.Display)
    shown.done(finished(4))
    shown.end()
    assert lines[0] == "0/4 runs   compiling"
    assert lines[-1].startswith("4/4 runs") and lines[-1].endswith("grok 4")
