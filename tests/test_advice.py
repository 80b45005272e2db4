"""Advice where a sweep got stuck: by made-up tables; its commands on tiny sweeps."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import TINY_SYSTEM, small_sweep

import grokmap
from grokmap import plan
from grokmap.analysis.advice import Advice, advise
from grokmap.classify import CRITERIA, FLAGS
from grokmap.cli.pasted import advice_command
from grokmap.spec import Sweep

GRID = {"alpha": "0,0.2,0.4", "weight_decay": "log:1e-3:0.1:5", "seed": "0,1,2"}


def table(sweep: Sweep, phase: Any = "grok", **columns: Any) -> pd.DataFrame:
    """All runs of a sweep as labelled: phase(row) or one phase, decided, at rest."""
    runs = plan.plan_table(plan.plan_runs(sweep), sweep)
    phases = [phase(row) if callable(phase) else phase for row in runs.itertuples()]
    rest = {"train_accuracy_trend": 0.0, "train_loss_trend": 0.0}
    flags = dict.fromkeys((*FLAGS, "comprehension"), False)
    runs = runs.assign(**flags, **rest, phase=phases, n_steps=runs["budget_steps"])
    horizon = np.fmax(runs["horizon"], CRITERIA["default"].horizon)
    followed = runs["n_steps"] * runs["decay_rate"] * (1 + 1e-9) / horizon
    runs = runs.assign(horizon_fraction=followed.clip(upper=1))
    return runs.assign(cost_s=runs["n_steps"] / 50.0, **columns)


def only(runs: pd.DataFrame, sweep: Sweep) -> Advice:
    found = advise(runs, sweep)
    assert len(found) == 1, found
    return found[0]


def first(share: float, n: int) -> Any:
    return np.arange(n) < round(share * n)


def wedge(row: Any) -> str:
    """A region of grokking with both edges inside the axis."""
    if row.weight_decay > 0.05:
        return "no-learning"
    return "grok" if row.weight_decay > 2e-3 else "memorize-only"


def test_a_sweep_that_went_well_gets_no_advice() -> None:
    sweep = small_sweep(**GRID)
    assert advise(table(sweep, wedge), sweep) == []
    assert advise(table(sweep, "no-learning").iloc[:3], sweep) == []


def test_nothing_learned_but_still_rising_calls_for_a_larger_step() -> None:
    sweep = small_sweep(**GRID)
    trend = np.where(first(0.8, 45), 0.2, 0.0)
    runs = table(sweep, "no-learning", train_accuracy_trend=trend)
    found = only(runs, sweep)
    assert (found.topic, found.n_true, found.of) == ("no learning", 36, 45)
    assert found.text.startswith("train accuracy was still rising in 36 of 45 runs")
    assert (found.how, found.settings) == ("new", ("learning_rate=auto",))
    assert found.run_steps == 4500 and found.seconds == pytest.approx(90)
    loss = runs.assign(train_accuracy_trend=0.0, train_loss_trend=-trend)
    assert only(loss, sweep).text.startswith("train loss was still falling in 36 of 45")
    # Where the step is automatic already, more steps are left.
    auto = sweep.model_copy(update={"learning_rate_choice": "auto"})
    assert only(runs, auto).settings == ("n_steps=200",)


def test_nothing_learned_and_at_rest_calls_for_less_decay() -> None:
    sweep = small_sweep(**GRID)
    found = only(table(sweep, "no-learning"), sweep)
    assert found.text.startswith("45 of 45 runs learned nothing and came to rest")
    name, _, values = found.settings[0].partition("=")
    grown = [float(v) for v in values.split(",")]
    assert name == "weight_decay" and grown[2:] == list(sweep.weight_decay)
    assert grown[:2] == pytest.approx([1e-4, 10**-3.5], rel=1e-5)
    assert found.seconds == pytest.approx(90 * 2 / 5)
    # Runs that ended early say how long others would take.
    runs = table(sweep, "no-learning").assign(n_steps=10, cost_s=0.2)
    assert only(runs, sweep).seconds == pytest.approx(9 * 2 / 5)


@pytest.mark.parametrize(
    ("flag", "share", "topic", "setting"),
    [
        ("diverged", 0.2, "diverged", "learning_rate=0.0125"),
        ("censored", 0.6, "undecided", "n_steps=200"),
        ("dead", 0.6, "dead", "weight_decay=0.0001,0.000316228,0.001"),
        ("stalled", 0.2, "stalled", "loss=stablemax"),
    ],
)
def test_flags_that_many_runs_have(
    flag: str, share: float, topic: str, setting: str
) -> None:
    sweep = small_sweep(**GRID, loss="cross_entropy")
    runs = table(sweep, wedge, **{flag: first(share, 45)})
    found = advise(runs, sweep)[0]
    count = round(share * 45)
    assert (found.topic, found.n_true, found.of) == (topic, count, 45)
    assert f"{count} of 45 runs" in found.text
    assert found.settings[0].startswith(setting)
    few = table(sweep, wedge, **{flag: first(share / 3 - 0.02, 45)})
    assert topic not in [item.topic for item in advise(few, sweep)]


def test_an_extension_costs_what_its_runs_took() -> None:
    sweep = small_sweep(**GRID)
    runs = table(sweep, wedge, censored=first(0.6, 45))
    found = advise(runs, sweep)[0]
    assert found.how == "extend" and found.run_steps == 27 * 100
    assert found.seconds == pytest.approx(27 * 100 / 50)
    unknown = advise(runs.drop(columns="cost_s"), sweep)[0]
    assert np.isnan(unknown.seconds)


HORIZON = {"n_steps": None, "horizon": 12.0, "min_steps": 100, "max_steps": 10_000}


def under(horizon: dict[str, Any] = HORIZON) -> Sweep:
    """Rates of 5e-5 to 5e-3: 12 decay times are 240000, 75895, 24000, 7590, 2400."""
    return small_sweep(**GRID | {"alpha": 0} | horizon)


@pytest.mark.parametrize(
    ("budgets", "decays", "settings"),
    [
        ({}, 3, ("max_steps=20000",)),
        ({}, 5, ("horizon=24", "max_steps=20000")),
        ({"min_steps": 3000}, 5, ("horizon=24", "max_steps=20000")),
        ({"min_steps": 5000}, 5, ("min_steps=10000", "max_steps=20000")),
        # All that decay for so long that their horizon is below the shortest run.
        (
            {"min_steps": 9000, "max_steps": 500_000},
            5,
            ("horizon=24", "min_steps=18000"),
        ),
        ({"min_steps": 10_000}, 5, ("min_steps=20000", "max_steps=20000")),
    ],
)
def test_extending_gives_every_undecided_run_more_steps(
    budgets: dict[str, Any], decays: int, settings: tuple[str, ...]
) -> None:
    sweep = under(HORIZON | budgets)
    few = sorted(sweep.weight_decay)[:decays]
    runs = table(sweep, "memorize-only")
    runs = runs.assign(censored=runs["weight_decay"].isin(few))
    found = next(a for a in advise(runs, sweep) if a.topic == "undecided")
    assert found.settings == settings
    # The smallest that does: without any of them, some run would end where it ended.
    more = steps_under(sweep, settings)
    before = runs.set_index("run_id")["n_steps"]
    open_ = runs["run_id"][runs["censored"]]
    assert (more[open_] > before[open_]).all()
    for left_out in settings:
        fewer = steps_under(sweep, [each for each in settings if each != left_out])
        assert (fewer[open_] == before[open_]).any()
    assert found.run_steps == (more - before)[open_].sum()
    assert found.seconds == pytest.approx(found.run_steps / 50)


def steps_under(sweep: Sweep, settings: Sequence[str]) -> pd.Series:
    """Steps of each run of the sweep with other budgets, as it would be planned."""
    pairs = (each.split("=") for each in settings)
    larger = sweep.model_copy(update={key: float(value) for key, value in pairs})
    return pd.Series({run.run.run_id: run.n_steps for run in plan.plan_runs(larger)})


def test_undecided_runs_are_told_apart_by_what_ended_them() -> None:
    sweep = under()
    runs = table(sweep, "memorize-only").assign(censored=True)
    text = advise(runs, sweep)[0].text
    assert text == (
        "15 of 15 runs are undecided (censored): 9 were cut short by max_steps, 6 "
        "were followed for the whole horizon and still move; go on with them"
    )
    last = runs["weight_decay"] == 0.1
    text = advise(runs.assign(partial=last), sweep)[0].text
    assert "6 were followed for the whole horizon and still move or are par" in text
    # Below the horizon of the criteria a run was cut short by its own.
    short = under(HORIZON | {"horizon": 5.0, "max_steps": 10**6})
    text = advise(table(short, "memorize-only").assign(censored=True), short)[0].text
    assert "15 were cut short by horizon; go on" in text
    sweep = small_sweep(**GRID)
    text = advise(table(sweep, "memorize-only").assign(censored=True), sweep)[0].text
    assert "45 were cut short by n_steps; go on" in text


def test_epochs_are_doubled_too() -> None:
    sweep = small_sweep(**GRID | {"n_steps": None, "n_epochs": 50, "batch_size": 4})
    runs = table(sweep, "memorize-only").assign(censored=True)
    found = advise(runs, sweep)[0]
    assert found.settings == ("n_epochs=100",)
    assert found.run_steps == runs["n_steps"].sum() > 45 * 50


def test_what_was_learned_and_lost_can_be_looked_at() -> None:
    sweep = small_sweep(**GRID)
    runs = table(sweep, wedge, collapsed=~first(0.8, 45))
    found = only(runs, sweep)
    assert (found.topic, found.n_true, found.how) == ("collapsed", 9, "curves")
    assert found.settings == (runs["run_id"].iloc[36],)


def test_a_plane_without_an_edge_says_which_side_to_extend() -> None:
    sweep = small_sweep(**GRID)
    found = advise(table(sweep, "grok"), sweep)
    assert [item.text.split(" groks")[0] for item in found] == [
        "even the largest weight decay",
        "even the smallest weight decay",
    ]
    up = [float(v) for v in found[0].settings[0].partition("=")[2].split(",")]
    assert up[:5] == list(sweep.weight_decay)
    assert up[5:] == pytest.approx([10**-0.5, 1.0], rel=1e-5)
    # What is undecided at the end of the axis is no grokking there.
    open_ended = table(sweep, "grok")
    last = open_ended["weight_decay"].isin([1e-3, 0.1])
    (more_steps,) = advise(open_ended.assign(censored=last), sweep)
    assert more_steps.topic == "undecided"
    # Nothing is below no decay at all.
    zero = small_sweep(**GRID | {"weight_decay": "0,1e-3,1e-2"})
    assert [item.topic for item in advise(table(zero, "grok"), zero)] == ["no edge"]
    none = only(table(sweep, "memorize-only"), sweep)
    assert none.topic == "no grok" and none.settings == found[0].settings


def test_no_delay_calls_for_fewer_examples() -> None:
    sweep = small_sweep(**GRID)
    runs = table(sweep, wedge, comprehension=True)
    found = only(runs, sweep)
    assert (found.topic, found.n_true) == ("no delay", 27)
    assert found.settings == ("train_fraction=0.45",)


def test_few_seeds_call_for_runs_next_to_the_edges() -> None:
    sweep = small_sweep(**GRID | {"seed": 0})
    found = only(table(sweep, wedge), sweep)
    # An edge on either side of each of three rows.
    assert (found.topic, found.n_true, found.how) == ("few seeds", 6, "refine")
    assert found.text == "6 edges rest on 1 seed a cell: add runs beside them"
    # Where a run beside an edge is undecided, that has to be decided first.
    runs = table(sweep, wedge)
    upper = runs["weight_decay"] == 0.1
    some = only(runs.assign(censored=upper & (runs["alpha"] == 0)), sweep)
    assert (some.topic, some.n_true, some.of) == ("few seeds", 5, 6)
    lower = runs["weight_decay"] < 2e-3
    most = (lower | upper) & (runs["alpha"] < 0.3)
    topics = [item.topic for item in advise(runs.assign(censored=most), sweep)]
    assert topics == ["undecided"]
    alone = small_sweep(weight_decay=GRID["weight_decay"], seed=3)
    found = only(table(alone, wedge), alone)
    assert found.how == "grow" and found.settings == ("seed=3,0,1,2,4",)
    assert found.text == "2 edges rest on 1 seed a cell: add seeds"
    assert found.run_steps == 4 * 500


# Commands


def commands(err: str) -> list[str]:
    return [line.split("`")[1] for line in err.splitlines() if "`grokmap " in line]


TINY = TINY_SYSTEM.replace("alpha = 0\n", "")
AXES = '[axes]\nalpha = "0,0.2"\nweight_decay = "log:1e-3:1e-2:3"\n'


@pytest.mark.slow
def test_commands_of_a_sweep_that_learned_nothing_work(
    command_line: Any, sweep_file: Any
) -> None:
    path = sweep_file(TINY + AXES)
    code, _, err = command_line("sweep", str(path), "-s", "learning_rate=1e-3")
    assert code == 0
    (line,) = [each for each in err.splitlines() if "larger learning rate" in each]
    assert "in 6 of 6 runs" in line and "as these runs took" in line
    (command, *_) = commands(line)
    _, *words = shlex.split(command)
    assert words == [
        *("sweep", "results/tiny", "-s", "learning_rate=auto"),
        *("--out", "results/tiny-no-learning"),
    ]
    code, out, err = command_line(*words)
    assert code == 0 and "6 of 6 runs" in out
    new = grokmap.open("results/tiny-no-learning").spec
    assert new.learning_rate_choice == "auto" and new.learning_rate[0] > 5e-3
    # The same advice is given whenever the result is looked at.
    code, out, err = command_line("status", "results/tiny", "--json")
    advice = json.loads(out)["advice"]
    assert advice[0]["command"] == command and advice[0]["n_true"] == 6
    assert "larger learning rate" in command_line("status", "results/tiny")[2]
    # What only looks at it says nothing of training.
    assert "larger learning rate" not in command_line("classify", "results/tiny")[2]
    drawn = command_line("phase-diagram", "results/tiny")
    assert drawn[0] == 0 and "larger learning rate" not in drawn[2]


@pytest.mark.slow
def test_runs_that_their_shortest_length_ended_can_be_extended(
    command_line: Any, sweep_file: Any
) -> None:
    text = TINY.replace("n_steps = 60", "horizon = 12\nmin_steps = 30\nmax_steps = 90")
    path = sweep_file(text + '[axes]\nalpha = "0,0.2"\nweight_decay = "0.01,20"\n')
    code, _, err = command_line("sweep", str(path))
    assert code == 0
    before = grokmap.open("results/tiny").labelled().set_index("run_id")["n_steps"]
    assert sorted(before) == [30, 30, 90, 90]
    words = ("-s", "min_steps=60", "-s", "max_steps=180")
    code, _, err = command_line("sweep", "results/tiny", *words)
    assert code == 4 and "min_steps was 30, now 60; --extend continues" in err
    assert command_line("sweep", "results/tiny", "--extend", *words)[0] == 0
    result = grokmap.open("results/tiny")
    runs = result.labelled().set_index("run_id")
    assert result.spec.min_steps == 60 and runs["n_steps"].max() == 180
    assert (runs["n_steps"][runs["censored"]] == 2 * before[runs["censored"]]).all()
    assert command_line("verify", "results/tiny")[0] == 0


SLOW = pytest.mark.slow  # what compiles another program


@pytest.mark.parametrize(
    ("topic", "how", "setting", "runs"),
    [
        pytest.param("undecided", "extend", "n_steps=120", 4, marks=SLOW),
        ("no edge", "grow", "weight_decay=1e-3,1e-2,0.1", 6),
        ("few seeds", "grow", "seed=0,1", 8),
        ("few seeds", "refine", "", 4),
        ("collapsed", "curves", "RUN", 4),
        pytest.param("diverged", "new", "learning_rate=0.01", 4, marks=SLOW),
        pytest.param("stalled", "new", "loss=stablemax", 4, marks=SLOW),
        pytest.param("no delay", "new", "train_fraction=0.45", 4, marks=SLOW),
    ],
)
def test_every_way_is_a_command_that_works(
    topic: str, how: str, setting: str, runs: int, command_line: Any, sweep_file: Any
) -> None:
    path = sweep_file(TINY + '[axes]\nalpha = "0,0.2"\nweight_decay = "1e-3,1e-2"\n')
    assert command_line("sweep", str(path), "--out", "a b")[0] == 0
    ids = grokmap.open("a b").labelled()["run_id"]
    settings = (setting.replace("RUN", ids[0]),) if setting else ()
    advice = Advice(topic, 1, 2, "", how, settings)
    program, *words = shlex.split(advice_command(Path("a b"), advice))
    assert program == "grokmap"
    code, _, err = command_line(*words)
    # There may be no edge to place among four tiny runs, which is said.
    assert code == 0 or (how == "refine" and "grok" in err), err
    out = words[words.index("--out") + 1] if "--out" in words else "a b"
    assert len(grokmap.open(out).labelled()) == runs
