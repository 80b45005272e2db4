"""Times as people write them, and every option that takes one."""

from __future__ import annotations

import math
from typing import Any

import pytest
from conftest import ROOT

from grokmap.durations import FORMS, seconds_of
from grokmap.errors import SpecError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(
            ("90", 90),
            ("90s", 90),
            ("90 s", 90),
            ("0", 0),
            ("0.5s", 0.5),
            (".5h", 1800),
        ),
        *(("45m", 2700), ("45min", 2700), ("3h", 10800), ("1.5h", 5400)),
        *(("1h30m", 5400), ("1h 30min", 5400), ("1H30M", 5400), ("2h5s", 7205)),
        *(("2d", 172800), ("1d12h", 129600), ("2 days", 172800), ("1 hour", 3600)),
        *(("1:30:00", 5400), ("00:00:30", 30), ("36:00:00", 129600)),
        *(("1-12:00:00", 129600), (" 2m ", 120), ("inf", math.inf)),
        ("9" * 400, math.inf),
    ],
)
def test_a_time_is_read_as_written(text: str, seconds: float) -> None:
    assert seconds_of(text, "--time-budget") == seconds


def test_without_the_option_there_is_no_end() -> None:
    assert seconds_of(None, "--time-budget") == math.inf


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "soon", "-5", "-5m", "nan", "-inf", "h", "1h30", "30m1h", "1m1m"),
        *("1:30", "1:60:00", "1:00:60", "1;30", "3 weeks", "٣s", "1\nh2", "\x1b[2J"),
    ],
)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        seconds_of(text, "--checkpoint")
    (line,) = caught.value.problems
    assert line.startswith("--checkpoint ") and line.endswith(FORMS)
    assert line.isprintable()


@pytest.mark.parametrize(
    "command",
    [
        ["sweep", str(ROOT / "sweeps/smoke.toml"), "--time-budget"],
        ["sweep", str(ROOT / "sweeps/smoke.toml"), "--checkpoint"],
        ["sweep", str(ROOT / "sweeps/smoke.toml"), "--dry-run", "--time-budget"],
        ["sweep", str(ROOT / "sweeps/smoke.toml"), "--dry-run", "--checkpoint"],
        ["refine", str(ROOT / "results/refined"), "--dry-run", "--time-budget"],
        ["reproduce", "kumar-fig1", "--max-cost"],
        ["reproduce", "kumar-fig1", "--time-budget"],
    ],
)
def test_every_option_of_a_time_refuses_alike(command_line: Any, command: Any) -> None:
    code, out, err = command_line(*command, "1:30")
    assert code == 2 and out == ""
    assert f"{command[-1]} '1:30': not a time; {FORMS}" in err
    assert len(err.splitlines()) == 1
