"""Refinement finds planted edges with few runs, and trains no run twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grokmap import store
from grokmap.analysis.boundaries import MAX, MEASURED, MIN, boundaries
from grokmap.analysis.refine import Aim, choose

AIM = Aim(precision=0.15, y_precision=0.03)
SEEDS = (0, 1)


def edges_at(alpha: float) -> dict[str, float]:
    """Planted ln lambda_min, ln lambda_max; the wedge closes at alpha = 0.55."""
    upper = np.log(0.05) + 2.5 * alpha
    return {MIN: upper - 3.2 * (1 - (alpha / 0.55) ** 2), MAX: upper}


def label(decay: float, alpha: float, seed: int, spread: float) -> str:
    shift = np.random.default_rng([seed, round(alpha * 1e6)]).normal(0, spread, 2)
    own = edges_at(alpha)
    if np.log(decay) > own[MAX] + shift[0]:
        return "no-learning"
    return "grok" if np.log(decay) > own[MIN] + shift[1] else "memorize-only"


def made(points: list[tuple[float, float, int]], spread: float) -> pd.DataFrame:
    rows = [
        {
            "weight_decay": x,
            "alpha": y,
            "seed": seed,
            "phase": label(x, y, seed, spread),
            "censored": False,
        }
        for x, y, seed in points
    ]
    return pd.DataFrame(rows)


def coarse() -> list[tuple[float, float, int]]:
    return [
        (float(x), float(y), seed)
        for y in (0.0, 0.2, 0.4, 0.6)
        for x in np.geomspace(1e-4, 1, 7)
        for seed in SEEDS
    ]


def refined(spread: float, aim: Aim = AIM) -> tuple[pd.DataFrame, int]:
    """All runs when nothing is left to choose, and the number of rounds."""
    points = coarse()
    for rounds in range(100):
        chosen = choose(made(points, spread), SEEDS, aim)
        if not chosen:
            return made(points, spread), rounds
        points += [tuple(point) for point in chosen]
    raise AssertionError("no end")


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_refined_edges_are_where_they_were_planted(spread: float) -> None:
    runs, _ = refined(spread)
    table = boundaries(runs)
    known = table[table["status"] == MEASURED]
    half = np.log(known["high"] / known["low"]) / 2
    assert (half <= AIM.precision + 1e-9).all()
    truth = [edges_at(a)[e] for a, e in zip(known["alpha"], known["edge"], strict=True)]
    off = np.abs(np.log(known["estimate"]) - truth)
    # Where seeds differ a row may be two of them away, whatever is done.
    assert np.median(off) < AIM.precision and off.max() < 2 * AIM.precision + 2 * spread
    assert len(runs) < 24 * 24 * len(SEEDS) / 5


@pytest.mark.slow
def test_rows_are_put_where_the_edge_bends_and_where_the_wedge_closes() -> None:
    runs, _ = refined(0.0)
    table = boundaries(runs)
    open_ = table.loc[table["status"] == MEASURED, "alpha"].max()
    closed = table.loc[(table["status"] == "no grok"), "alpha"].min()
    assert open_ < 0.55 + 0.02 and closed - open_ <= 2 * AIM.y_precision
    # More precisely: also rows between the coarse ones, where the lower edge bends.
    finer = refined(0.0, Aim(precision=0.06, y_precision=0.03))[0]["alpha"]
    assert ((finer > 0.2) & (finer < 0.4)).any()


def test_a_straight_edge_gets_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    line = {MIN: lambda a: -6 + 4 * a, MAX: lambda a: -2 + a}
    monkeypatch.setattr(
        "test_refine.edges_at", lambda a: {k: f(a) for k, f in line.items()}
    )
    runs, _ = refined(0.0)
    assert sorted(runs["alpha"].unique()) == [0, 0.2, 0.4, 0.6]


def test_no_run_is_chosen_twice_and_the_choice_is_the_same_again() -> None:
    one, rounds = refined(0.1)
    assert not one.duplicated(["weight_decay", "alpha", "seed"]).any()
    other, _ = refined(0.1)
    pd.testing.assert_frame_equal(one, other)
    shuffled = one.sample(frac=1, random_state=0)
    again = choose(shuffled[shuffled["alpha"] != 0.2], SEEDS, AIM)
    assert again == choose(one[one["alpha"] != 0.2], SEEDS, AIM)
    assert rounds > 3


@pytest.mark.parametrize("log", [True, False])
def test_the_end_of_an_axis_is_asked_for_once(log: bool) -> None:
    """The wedge goes on beyond the axis, which ends at no number of six digits."""
    ends = np.geomspace(1e-4, 1 / 3, 5) if log else np.linspace(0.1, 1 / 3, 5)
    points = [(float(x), 0.0, 0) for x in ends[:3]]
    points += [(float(x), 0.2, 0) for x in ends]

    def runs() -> pd.DataFrame:
        return made(points, 0.0).assign(phase="grok")

    aim = Aim(precision=0.15 if log else 0.01, y_precision=1.0, log=log, batch=1)
    for _ in range(10):
        chosen = choose(runs(), [0, 1, 2], aim)
        points += [tuple(point) for point in chosen]
        if not chosen:
            break
    assert not chosen
    ends_of_row = [x for x, y, _ in points if y == 0 and abs(x / ends[-1] - 1) < 1e-4]
    assert len(ends_of_row) == 1


@pytest.mark.slow
def test_a_wide_device_gets_wide_rounds() -> None:
    wide = Aim(precision=0.15, y_precision=0.03, batch=200)
    runs, rounds = refined(0.0, wide)
    assert rounds < refined(0.0)[1]
    assert len(choose(made(coarse(), 0.0), SEEDS, wide)) > 100
    assert not runs.duplicated(["weight_decay", "alpha", "seed"]).any()


def test_seeds_take_turns() -> None:
    runs, _ = refined(0.1)
    beside = runs.iloc[len(coarse()) :]
    counts = beside["seed"].value_counts()
    assert counts.min() > 0.3 * len(beside)


def test_what_only_a_larger_budget_decides_is_left_alone() -> None:
    runs = made(coarse(), 0.0)
    cut = runs["phase"] == "memorize-only"
    chosen = choose(runs.assign(censored=cut), SEEDS, AIM)
    lowest = {y: edges_at(y)[MAX] - 1.6 for y in runs["alpha"].unique()}
    assert chosen and all(np.log(x) > lowest[y] for x, y, _ in chosen)


def test_a_linear_axis_stays_linear_whatever_is_added() -> None:
    """Points that crowd at an edge are spaced neither way: the aim says how to read."""
    places = [(float(x), y, 0) for y in (0.0, 0.1) for x in np.linspace(0.001, 0.1, 8)]
    aim = Aim(precision=0.001, y_precision=0.2, log=False)
    for _ in range(12):
        chosen = choose(made(places, 0.0), (0,), aim)
        places += [tuple(point) for point in chosen]
    runs = made(places, 0.0)
    table = boundaries(runs, log=False)
    known = table[table["status"] == MEASURED]
    assert len(known) and ((known["high"] - known["low"]) / 2 <= 0.001 + 1e-9).all()


@pytest.mark.slow
def test_more_precision_takes_more_runs() -> None:
    fine = Aim(precision=0.05, y_precision=0.03)
    assert len(refined(0.0, fine)[0]) > len(refined(0.0)[0]) + 10


SWEEP = """
name = "tiny"
task = "modular_addition"
modulus = 11
width = 32
train_fraction = 0.8
optimizer = "gd"
momentum = 0.9
learning_rate = 0.05
n_steps = 1200
tail = 1
records_per_octave = 8
order_parameters = []

[axes]
alpha = [0, 0.5]
weight_decay = "log:1e-3:3:5"
seed = [0, 1]
"""


@pytest.fixture
def grokmap(command_line: Any) -> Any:
    Path("tiny.toml").write_text(SWEEP)
    Path("within.toml").write_text("last_step = 1200\n")
    assert command_line("sweep", "tiny.toml")[0] == 0
    return command_line


RESULT = Path("results/tiny")
WITHIN = ("--criteria", "within.toml", "--precision", "0.05")


def trained() -> list[str]:
    ids = [ids for ids, _ in store.origins(RESULT)]
    return sorted(run for batch in ids for run in batch)


def test_refine_goes_on_and_trains_nothing_twice(grokmap: Any) -> None:
    before = trained()
    code, out, err = grokmap("refine", str(RESULT), *WITHIN, "--max-runs", "3")
    assert code == 0 and "3 are made" in err and "edges of the grok wedge" in out
    first = trained()
    assert len(first) == len(before) + 3 and set(before) < set(first)
    # The same command has nothing to do; a larger number goes on from there.
    assert grokmap("refine", str(RESULT), *WITHIN, "--max-runs", "3")[0] == 0
    assert trained() == first
    assert grokmap("refine", str(RESULT), *WITHIN, "--max-runs", "5")[0] == 0
    assert len(trained()) == len(set(trained())) == len(before) + 5


def test_the_sweep_knows_the_points_beside_its_grid(grokmap: Any) -> None:
    grokmap("refine", str(RESULT), *WITHIN, "--max-runs", "2")
    done = trained()
    code, out, _ = grokmap("sweep", "tiny.toml", "--dry-run")
    assert code == 0 and "nothing is left to do" in out and "nan" not in out
    code, out, _ = grokmap("sweep", "tiny.toml")
    assert code == 0 and f"{len(done)} of {len(done)} runs" in out
    assert trained() == done
    assert grokmap("verify", str(RESULT))[0] == 0
    assert f"{len(done)} of {len(done)} runs done" in grokmap("status", str(RESULT))[1]
    points = store.read_points(RESULT)
    assert points is not None and len(points) == 2
    runs = pd.read_parquet(RESULT / "runs.parquet")
    both = runs.merge(points, on=["alpha", "weight_decay", "seed"])
    assert len(both) == 2 and set(both["round"]) <= {1, 2}


def test_where_only_a_larger_budget_decides_the_dry_run_says_so(
    command_line: Any,
) -> None:
    text = SWEEP.replace("n_steps = 1200", "n_steps = 60")
    Path("tiny.toml").write_text(text)
    assert command_line("sweep", "tiny.toml")[0] == 0
    code, out, _ = command_line("refine", str(RESULT), "--dry-run")
    assert code == 0 and "no run is left to choose" in out
    assert "runs are censored: `grokmap sweep results/tiny --extend -s n_steps=" in out
    code, out, _ = command_line("boundaries", str(RESULT))
    assert code == 0 and "undecided (10 of 10 censored)" in out


def test_an_interrupted_round_is_finished_first(grokmap: Any) -> None:
    """What was chosen is on disk before it is trained."""
    code, _, _ = grokmap("refine", str(RESULT), *WITHIN, "--time-budget", "0s")
    assert code == 75
    grokmap("refine", str(RESULT), *WITHIN, "--max-runs", "4")
    points = store.read_points(RESULT)
    for file in (RESULT / "trajectories").glob("*.parquet"):
        file.unlink()  # as if none of it had been trained
    grokmap("refine", str(RESULT), *WITHIN, "--max-runs", "4")
    again = store.read_points(RESULT)
    pd.testing.assert_frame_equal(points, again)
    assert len(trained()) == 20 + 4


def test_refine_says_what_it_needs(grokmap: Any) -> None:
    code, _, err = grokmap("refine", str(RESULT), "--y", "width")
    assert code == 2 and "swept here: alpha, weight_decay" in err
    code, _, err = grokmap("refine", str(RESULT), "--precision", "0")
    assert code == 2 and "above 0" in err
    code, _, err = grokmap("refine", "nothing-here")
    assert code == 2 and "nothing-here" in err
    code, out, _ = grokmap("refine", str(RESULT), *WITHIN, "--dry-run")
    assert code == 0 and ("weight_decay" in out or "no run is left" in out)
    assert len(trained()) == 20


def test_fewer_runs_than_were_made_train_none(grokmap: Any) -> None:
    grokmap("refine", str(RESULT), *WITHIN, "--max-runs", "3")
    before = trained()
    code, _, err = grokmap("refine", str(RESULT), *WITHIN, "--max-runs", "1")
    assert code == 0 and "--max-runs 1" in err and trained() == before


def test_a_dry_run_is_json_and_refuses_what_a_round_would(grokmap: Any) -> None:
    words = ("refine", str(RESULT), *WITHIN, "--dry-run")
    code, out, _ = grokmap(*words, "--max-runs", "2", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["chosen_before"] == 0
    assert [set(point) for point in facts["points"]] == [
        {"alpha", "weight_decay", "seed"}
    ] * len(facts["points"])
    assert 0 < len(facts["points"]) <= 2
    for wrong, message in {
        "--y-precision 0": "--y-precision 0: a number above 0",
        "--max-runs 0": "--max-runs 0: a number above 0",
        "--precision nan": "--precision nan: a number above 0",
        "--x alpha": "two different axes",
        "--criteria nope": "unknown criteria",
    }.items():
        for dry_run in ((), ("--dry-run",)):
            code, _, err = grokmap("refine", str(RESULT), *dry_run, *wrong.split())
            assert code == 2 and message in err, (wrong, err)


def test_a_stop_before_any_run_is_a_stop(command_line: Any) -> None:
    Path("tiny.toml").write_text(SWEEP)
    assert command_line("sweep", "tiny.toml", "--time-budget", "0s")[0] == 75
    code, _, err = command_line("refine", str(RESULT), "--time-budget", "0s")
    assert code == 75 and "no finished run" in err
    assert "stopped (--time-budget); the same command goes on" in err


def test_damaged_points_are_refused_with_the_way_out(grokmap: Any) -> None:
    refine = ("refine", str(RESULT), *WITHIN, "--max-runs", "2")
    grokmap(*refine)
    points, done = store.read_points(RESULT), trained()
    assert points is not None
    file = RESULT / store.POINTS
    for wrong, message in (
        (points.assign(alpha=np.nan), "alpha = nan: should be a number at least 0"),
        (points.assign(seed="x"), "seed is not a number in every row"),
        (points.assign(train_fraction=7.0), "train_fraction is not the sweep's 0.8"),
        (points.assign(alpha=7.0), "alpha = 7.0: an exponent of the width, at most 2"),
        (points.assign(alpha=-1.0), "alpha = -1: should be a number at least 0"),
        (pd.concat([points, points]), "has runs twice"),
        (points.drop(columns="round"), "has no round"),
        (None, "damaged"),
    ):
        if wrong is None:
            file.write_bytes(b"")
        else:
            wrong.to_parquet(file)
        for command in (refine, ("sweep", str(RESULT))):
            code, _, err = grokmap(*command)
            assert code == 2 and message in err and "remove it" in err, err
    assert trained() == done
    file.unlink()
    grokmap(*refine)
    pd.testing.assert_frame_equal(store.read_points(RESULT), points)
    assert trained() == done
