"""What is seen of a sweep while it trains: on its terminal, and by `status`."""

from __future__ import annotations

import io
import json
import os
import re
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import small_sweep
from rich.console import Console

from grokmap import plan, store
from grokmap.classify import FLAGS
from grokmap.cli.results import print_status
from grokmap.engine import execute
from grokmap.engine.execute import Progress
from grokmap.session import standing
from grokmap.session.batches import Batches, held
from grokmap.session.counts import Counts
from grokmap.session.display import Display
from grokmap.session.lock import locked
from grokmap.session.plane import Plane, chosen_axes
from grokmap.session.screen import Screen
from grokmap.session.session import Options, open_session, train_missing
from grokmap.spec import Sweep

COLOURS = {"no-learning": "#999999", "memorize-only": "#E69F00", "grok": "#0072B2"}
GRID = small_sweep(alpha="0,0.2,0.4", weight_decay="1e-3,1e-2,0.1", seed="0,1")


def runs_of(sweep: Sweep, phase: Any) -> pd.DataFrame:
    """All runs of a sweep, over, with phase(row) and flags of their own."""
    table = plan.plan_table(plan.plan_runs(sweep), sweep)
    phases = [phase(row) for row in table.itertuples()]
    return table.assign(**dict.fromkeys(FLAGS, False), phase=phases)


def drawn(plane: Plane, width: int = 80, height: int = 20) -> list[str]:
    text = plane.text(width, height, COLOURS)
    assert text is not None
    return text.plain.split("\n")


def plane_of(sweep: Sweep) -> Plane:
    return Plane(sweep.axes, plan.plan_table(plan.plan_runs(sweep), sweep))


def by_decay(row: Any) -> str:
    return {1e-3: "memorize-only", 1e-2: "grok", 0.1: "no-learning"}[row.weight_decay]


def test_the_plane_fills_in_as_runs_end() -> None:
    plane, runs = plane_of(GRID), runs_of(GRID, by_decay)
    empty = drawn(plane)
    assert empty[0] == "alpha against weight_decay (most runs over seed)"
    assert [line.split() for line in empty[1:4]] == [
        [alpha, ".", ".", "."] for alpha in ("0.4", "0.2", "0")
    ]
    plane.done(runs[(runs["alpha"] == 0.2) | (runs["weight_decay"] == 0.1)])
    assert [line.split() for line in drawn(plane)[1:4]] == [
        ["0.4", ".", ".", "N"],
        ["0.2", "M", "G", "N"],
        ["0", ".", ".", "N"],
    ]
    assert drawn(plane)[4].split() == ["0.001", "0.01", "0.1"]
    assert drawn(plane, width=16)[4].split() == ["0.001"]


def test_a_cell_is_what_most_of_its_runs_are() -> None:
    sweep = small_sweep(weight_decay="1e-3,1e-2,0.1", seed="0,1,2")
    plane = plane_of(sweep)
    of_seed = ("grok", "memorize-only", "memorize-only")
    runs = runs_of(sweep, lambda row: of_seed[row.seed])
    runs.loc[(runs["weight_decay"] == 1e-2) & (runs["seed"] > 0), "censored"] = True
    runs.loc[runs["weight_decay"] == 0.1, "diverged"] = True
    plane.done(runs)
    assert drawn(plane)[1].split() == ["M", "m", "x"]
    plane.failed(runs["run_id"][runs["weight_decay"] == 1e-3].tolist() * 2)
    assert drawn(plane)[1].split() == ["!", "m", "x"]


def test_colours_and_letters_say_the_same() -> None:
    plane = plane_of(GRID)
    plane.done(runs_of(GRID, by_decay))
    text = plane.text(80, 20, COLOURS)
    assert text is not None
    styles = {text.plain[s.start : s.end].strip(): str(s.style) for s in text.spans}
    assert styles["G"].endswith("on #0072B2") and styles["M"].endswith("on #E69F00")
    assert "#ffffff" in styles["G"] and "#000000" in styles["M"]


def test_neighbours_share_a_letter_where_there_is_no_room() -> None:
    sweep = small_sweep(alpha="0:0.9:10", weight_decay="log:1e-4:1:40", seed=0)
    plane = plane_of(sweep)
    plane.done(runs_of(sweep, lambda row: "grok" if row.alpha < 0.5 else "no-learning"))
    lines = drawn(plane, width=40, height=8)
    assert "a letter for 1 x 2 points" in drawn(plane, 80, 8)[0]
    assert len(lines) <= 8 and max(map(len, lines)) <= 40
    cells = [line[9:] for line in lines[1:-2]]
    assert [set(row.strip()) for row in cells] == [{"N"}] * 2 + [{"G"}] * 3
    assert all(len(row) == 20 for row in cells)
    assert plane.text(12, 20, COLOURS) is None and plane.text(80, 4, COLOURS) is None


def test_the_plane_is_of_the_two_longest_axes_but_for_the_usual_ones() -> None:
    sweep = small_sweep(
        alpha="0,0.1", width="8,16,32", train_fraction="0.4,0.5,0.6,0.7", seed="0,1,2"
    )
    x, y = chosen_axes(sweep.axes)
    assert x and y and (x.name, y.name) == ("train_fraction", "width")
    assert plane_of(sweep).beside == ["alpha", "seed"]
    x, y = chosen_axes(GRID.axes)
    assert x and y and (x.name, y.name) == ("weight_decay", "alpha")
    assert chosen_axes(small_sweep(seed="0,1").axes) == (None, None)


def screen_of(sweep: Sweep, width: int, height: int = 24) -> tuple[Display, Screen]:
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True
    )
    display = Display()
    screen = Screen(display, console)
    display.live = screen
    runs = plan.plan_runs(sweep)
    table = plan.plan_table(runs, sweep)
    display.planned(sweep.axes, table, runs_of(sweep, by_decay).iloc[:0])
    display.begin(runs, len(runs), 0)
    return display, screen


def seen(screen: Screen) -> str:
    console = Console(width=screen.console.width, record=True, file=io.StringIO())
    console.print(screen.shown())
    return console.export_text()


def test_a_terminal_shows_bar_counts_and_plane() -> None:
    display, screen = screen_of(GRID, 90)
    assert re.search(r"0% +0/18 runs +ETA -\n *compiling", seen(screen))
    for _ in range(2):
        display.progress(Progress(450, 500))
    display.done(runs_of(GRID, by_decay).iloc[:9])
    text = seen(screen)
    assert "50%" in text and "9/18 runs" in text and "lanes 45% busy" in text
    assert "alpha against weight_decay (most runs" in text and "G" in text
    display.end()
    # What was filled in stays on the terminal.
    written = screen.console.file.getvalue()  # type: ignore[attr-defined]
    assert "lower case: undecided" in written.rstrip().splitlines()[-2]


def test_a_narrow_terminal_shows_the_bar_alone() -> None:
    _, screen = screen_of(GRID, 90, height=7)
    text = seen(screen)
    assert "0/18 runs" in text and "alpha" not in text


# What others see


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def outcomes(sweep: Sweep) -> list[execute.Done]:
    """One hand-out a run, as if each had ended alone."""
    found = list(execute.execute(plan.plan_runs(sweep)))
    return [
        done._replace(runs=(run,), steps=(steps,), values=(values,), ends=())
        for done in found
        if isinstance(done, execute.Done)
        for run, steps, values in zip(done.runs, done.steps, done.values, strict=True)
    ]


@pytest.fixture(scope="module")
def done_runs() -> list[execute.Done]:
    return outcomes(small_sweep(seed="0,1,2,3", n_steps=20))


def test_runs_are_held_and_written_together(
    done_runs: list[execute.Done], tmp_path: Path
) -> None:
    sweep = small_sweep(seed="0,1,2,3", n_steps=20)
    table = plan.plan_table(plan.plan_runs(sweep), sweep).set_index("run_id")
    store.write_spec(tmp_path, sweep)
    clock = Clock()
    with store.Writer(tmp_path) as writer:
        taken = Batches(tmp_path, writer, table, {"command": ["x"]}, clock)
        for clock.now, done in zip((0.0, 10.0, 25.0), done_runs, strict=False):
            labels = taken.take(done)
            assert list(labels["run_id"]) == [done.runs[0].run.run_id]
        assert len(taken.unwritten) == 3
        clock.now = 30.1
        taken.write_if_due()
        assert not taken.unwritten
        with held(taken):
            taken.take(done_runs[3])
        assert not taken.unwritten  # leaving writes the rest
    files = store.batch_files(tmp_path)
    assert sorted(len(store.last_steps_of([f])[0]) for f in files) == [1, 3]
    made = dict((len(ids), origin) for ids, origin in store.origins(tmp_path))
    total = sum(done.seconds for done in done_runs[:3])
    assert made[3].seconds == pytest.approx(total, abs=2e-3)
    assert made[3].facts["command"] == ["x"]
    records, _ = store.read_trajectories(tmp_path, ["train_loss"])
    one = done_runs[1]
    mine = records[records["run_id"] == one.runs[0].run.run_id]
    column = one.columns.index("train_loss")
    assert np.array_equal(mine["train_loss"].to_numpy(), one.values[0][:, column])


def test_what_is_held_is_written_when_training_raises(
    done_runs: list[execute.Done], tmp_path: Path
) -> None:
    sweep = small_sweep(seed="0,1,2,3", n_steps=20)
    table = plan.plan_table(plan.plan_runs(sweep), sweep).set_index("run_id")
    store.write_spec(tmp_path, sweep)
    with (
        pytest.raises(KeyboardInterrupt),
        store.Writer(tmp_path) as writer,
        held(Batches(tmp_path, writer, table, {})) as taken,
    ):
        taken.take(done_runs[0])
        raise KeyboardInterrupt
    assert len(store.stored(tmp_path).steps) == 1


def test_a_run_that_ends_shows_while_others_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written for 30 s, but all that ended count as done at once."""
    path, sweep = tmp_path / "r", small_sweep(seed="0,1,2,3", n_steps=20)
    alone = partial(execute.execute, tuning=execute.Tuning(runs_together=1))
    monkeypatch.setattr(execute, "execute", alone)
    asked: list[tuple[int, int]] = []

    class Asking(Counts):
        def progress(self, progress: Progress) -> None:
            super().progress(progress)
            time.sleep(0.05)  # for the thread that writes
            asked.append((self.runs_done, standing.whole(path).done))

    with open_session(path, sweep, Options(), Asking()) as session:
        train_missing(session)
    # At the end of each chunk the runs of those before it, of two or of one device.
    assert asked[0] == (0, 0) and asked[-1][0] in (2, 3)
    assert all(heard == said for heard, said in asked)
    assert len(store.batch_files(path)) == 1


def written_progress(path: Path, unwritten: dict[str, list[str]]) -> None:
    known = {"time": time.time(), "runs_done": 2, "runs": 4, "left_s": 90.0}
    store.write_progress(path, known | {"unwritten": unwritten})


def test_status_counts_what_a_live_session_has_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = small_sweep(seed="0,1,2,3", n_steps=20)
    table = plan.plan_table(plan.plan_runs(sweep), sweep)
    ids = table["run_id"].tolist()
    with locked(tmp_path):
        store.write_spec(tmp_path, sweep)
        store.write_plan(tmp_path, table, {})
        written_progress(tmp_path, {ids[0]: ["grok"], ids[1]: ["no-learning", "dead"]})
        print_status(tmp_path, as_json=True)
        found = json.loads(capsys.readouterr().out)
        assert (found["done"], found["missing"]) == (2, 2)
        assert (found["grok"], found["no-learning"], found["dead"]) == (1, 1, 1)
        by = found["written_by"]
        assert (by["pid"], by["state"]) == (str(os.getpid()), "running")
        assert by["left_s"] == pytest.approx(90, abs=2) and by["unwritten"] == 2
        print_status(tmp_path, as_json=False)
        text = capsys.readouterr().out
        assert f"2 of 4 runs, running, process {os.getpid()} on " in text
        assert re.search(r"since \d\d:\d\d:\d\d \(\d+s\), ETA 1m(30|29|28)s", text)
        assert "run the same" not in text
    # Let go of, or killed: then they are not done.
    assert standing.whole(tmp_path).done == 0


@pytest.mark.parametrize(
    "said", [[], {"a": "grok"}, {"a": []}, {"a": [1]}, {"a": None}, 3], ids=str
)
def test_progress_that_makes_no_sense_is_nothing(tmp_path: Path, said: Any) -> None:
    store.write_spec(tmp_path, small_sweep())
    store.write_progress(tmp_path, {"time": "now", "left_s": True, "unwritten": said})
    found = store.read_progress(tmp_path)
    assert found.unwritten == {}
    assert found.time != found.time and found.left != found.left
