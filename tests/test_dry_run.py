"""A dry run costs a minute at most, and a tenth of the sweep if that is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import small_sweep
from test_cli import TINY

from grokmap import plan
from grokmap.cli import dry_run, meter
from grokmap.cli.meter import Meter
from grokmap.engine.cost import n_weights
from grokmap.engine.estimate import Measured, Work, costliest_first, estimate
from grokmap.spec import System

# 100 and 300 steps; 10 and 30 records; 5 of 10 examples; 20 and 40 weights.
SMALL = Work(100, {"dense": 10, "cheap": 4}, 5, 10, 20)
LARGE = Work(300, {"dense": 30, "cheap": 8}, 5, 10, 40)


def test_what_is_measured_is_added_up() -> None:
    known = {
        0: Measured(2.0, {"step": 0.1, "dense": 1.0, "cheap": 3.0}),
        1: Measured(4.0, {"step": 0.5, "dense": 2.0, "cheap": 5.0}),
    }
    found = estimate([SMALL, LARGE], known)
    spent = {"step": 10 + 150, "dense": 10 + 60, "cheap": 12 + 40}
    assert found.compile == 6 and found.spent == pytest.approx(spent)
    assert found.unknown == () and found.whole == pytest.approx(6 + sum(spent.values()))


def test_the_others_go_as_their_arithmetic() -> None:
    # Twice the weights: twice the seconds, of steps and of records.
    found = estimate([SMALL, LARGE], {1: Measured(4.0, {"step": 0.5, "dense": 2.0})})
    assert found.spent == pytest.approx({"step": 25 + 150, "dense": 10 + 60})
    assert found.compile == 8 and found.unknown == ("cheap",)
    # The measured system most like it is the model: here the larger of two.
    huge = LARGE._replace(weights=80)
    known = {0: Measured(1.0, {"step": 1.0}), 1: Measured(1.0, {"step": 0.5})}
    found = estimate([SMALL, LARGE, huge], known)
    assert found.spent["step"] == pytest.approx(100 * 1.0 + 300 * 0.5 + 300 * 1.0)


def test_without_a_measurement_nothing_is_claimed() -> None:
    found = estimate([SMALL], {})
    assert found.unknown == ("step", "dense", "cheap") and found.whole != found.whole
    assert estimate([], {}).whole == 0


def test_the_most_expensive_come_first() -> None:
    wide = SMALL._replace(weights=1000)
    assert costliest_first([SMALL, LARGE, wide]) == [2, 1, 0]


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 3 * 7 * 16),
        ({"model": "mlp", "depth": 2, "width": 10}, 14 * 10 + 10 * 10 + 10 * 7),
    ],
)
def test_weights_are_counted_without_a_compile(
    changes: dict[str, Any], count: int
) -> None:
    values: dict[str, Any] = {"task": "modular_addition", "modulus": 7, "width": 16}
    assert n_weights(System(**values | changes)) == count


class Bench:
    """Stands for a device on which each measurement takes 5 seconds of its clock."""

    def __init__(self, patch: pytest.MonkeyPatch, step: float) -> None:
        self.now, self.step, self.compiled = 0.0, step, list[int]()
        patch.setattr(meter, "time", SimpleNamespace(monotonic=lambda: self.now))
        patch.setattr(meter, "choose_settings", lambda *a: "settings")
        patch.setattr(meter, "fitting", self.compile)
        patch.setattr(meter.cost, "measured", self.measured)
        patch.setattr(meter.cost, "measured_alone", lambda *a: iter(()))

    def compile(self, system: System, settings: Any) -> Any:
        self.now += 5
        self.compiled.append(system.width)
        return SimpleNamespace(seconds=5.0), settings

    def measured(self, *arguments: Any) -> Iterator[tuple[str, float]]:
        for cost in ("step", "dense"):
            self.now += 5
            yield cost, self.step


@pytest.mark.parametrize(("step", "n_measured"), [(1e-9, 2), (1.0, 40)])
def test_measuring_stops_at_a_tenth_of_the_sweep(
    monkeypatch: pytest.MonkeyPatch, step: float, n_measured: int
) -> None:
    """40 compiles of 5 seconds alone: a tenth is 20, and each system takes 15."""
    widths = ",".join(str(10 * k) for k in range(1, 41))
    runs = plan.plan_runs(small_sweep(width=widths, n_steps=10**6))
    bench = Bench(monkeypatch, step)
    tried = Meter(runs, None)
    for _ in tried.measure():
        pass
    assert bench.compiled == [400 - 10 * k for k in range(n_measured)]
    assert len(tried.measured) == n_measured
    assert bench.now <= max(0.1 * tried.estimate().whole, 20) + 15


def test_a_measurement_that_does_not_end_is_left_alone(
    command_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("tiny.toml").write_text(TINY)
    ends, left = threading.Event(), []
    monkeypatch.setattr(dry_run, "LONGEST", 0.2)
    monkeypatch.setattr(dry_run, "_leave", lambda: left.append(True))
    monkeypatch.setattr(meter, "fitting", lambda *a: ends.wait(60))
    started = time.monotonic()
    code, out, _ = command_line("sweep", "tiny.toml", "--dry-run")
    assert code == 0 and left == [True] and time.monotonic() - started < 30
    assert "nothing was measured" in out and "4 to do" in out
    ends.set()


def test_what_goes_wrong_in_measuring_is_told(
    command_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grokmap.errors import SpecError

    def refuses(*arguments: Any) -> Any:
        raise SpecError("no such precision here")

    Path("tiny.toml").write_text(TINY)
    monkeypatch.setattr(meter, "choose_settings", refuses)
    code, out, err = command_line("sweep", "tiny.toml", "--dry-run")
    assert code == 2 and out == "" and "no such precision here" in err


def test_nothing_left_to_do_measures_nothing(command_line: Any) -> None:
    Path("tiny.toml").write_text(TINY)
    assert command_line("sweep", "tiny.toml")[0] == 0
    code, out, err = command_line("sweep", "tiny.toml", "--dry-run")
    assert code == 0 and "nothing is left to do" in out and "measuring" not in err
    found = json.loads(command_line("sweep", "tiny.toml", "--dry-run", "--json")[1])
    assert found["seconds"] == 0 and found["to_do"] == 0


def test_an_automatic_rate_is_chosen_by_the_ends_of_the_sizes(
    command_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("tiny.toml").write_text(TINY.replace("width = 8", ""))
    widths: list[Any] = []

    def chosen(sweep: Any) -> float:
        widths.append(sweep.width)
        return 0.05

    monkeypatch.setattr("grokmap.session.folder.choose_learning_rate", chosen)
    monkeypatch.setattr(dry_run, "run_within", lambda steps, seconds: True)
    auto = ("-s", "learning_rate=auto", "-s", "width=range:8:48:1")
    code, out, _ = command_line("sweep", "tiny.toml", *auto, "--dry-run", "--json")
    assert code == 0 and widths == [(8, 47)]
    assert json.loads(out)["compiles"] == 40


@pytest.mark.slow
@pytest.mark.parametrize("widths", ["16,24,32,48", "range:16:56:1"])
def test_many_systems_and_order_parameters_take_less_than_a_minute(
    tmp_path: Path, widths: str
) -> None:
    """From the shell, with an empty compile cache."""
    text = TINY.replace('order_parameters = ["snr"]', "").replace("width = 8", "")
    (tmp_path / "many.toml").write_text(text)
    started = time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "grokmap", "sweep", "many.toml", "--dry-run"),
            *("--json", "-s", f"width={widths}", "-s", "modulus=11"),
        ],
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        check=True,
    )
    assert time.monotonic() - started < 60
    report = json.loads(done.stdout)
    assert report["measured"] >= 1 and report["seconds"] > 0
    assert report["measured"] + report["modelled"] == report["compiles"]
