"""Refinement over several axes finds planted surfaces, and goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import SMALL

from grokmap import plan, store
from grokmap.classify import CRITERIA
from grokmap.errors import ResultError, SpecError
from grokmap.plan import read_sweep
from grokmap.result import Result, proposals, surface
from grokmap.result.refine import Wanted, check, next_round
from grokmap.session import Options, Session, folder
from grokmap.session.counts import Counts
from grokmap.session.refine import REACHED, Refined, refine
from grokmap.spec import Sweep

PLANE = {"alpha": "0:0.6:4", "weight_decay": "log:1e-4:1:5"}
SPACE = PLANE | {"train_fraction": "0.5:0.9:3"}
WITHIN = "last_step = 100\n"
READ = tuple(k for k in store.LABELS_READ if not k.startswith("held_out"))


def edges_at(alpha: Any, fraction: Any = 0.7) -> tuple[Any, Any]:
    """Planted log10 of lambda_min and lambda_max: the first rises with alpha and with
    smaller fractions, the second with alpha a little."""
    return -3 + 2 * alpha + 2 * (0.7 - fraction), -1 + 0.5 * alpha


def groks(runs: pd.DataFrame) -> Any:
    low, high = edges_at(runs["alpha"], runs["train_fraction"])
    place = np.log10(runs["weight_decay"])
    return (place > low) & (place < high)


def sweep_of(axes: dict[str, Any], **more: Any) -> Sweep:
    fixed = {k: v for k, v in SMALL.items() if k not in axes}
    seed = more.pop("seed", 0)
    return read_sweep({**fixed, **more, "axes": {**axes, "seed": seed}})


def planted(session: Session) -> None:
    """In place of training: a record of each missing run, as it was planted."""
    runs = folder.planned_in(session.path, session.sweep)
    table = plan.plan_table(runs, session.sweep)
    store.write_plan(session.path, table)
    done = set(store.stored(session.path).steps)
    table = table[~table["run_id"].isin(done)]
    if table.empty:
        return
    values = [_records(yes) for yes in groks(table)]
    step = np.tile([0, 10, 40, 50, 75, 100], len(table))
    rows = np.repeat(np.arange(len(table)), 6)
    names = list(table["run_id"])
    store.write_batch(session.path, names, rows, step, READ, np.concatenate(values), {})


def _records(yes: bool) -> Any:
    train = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    test = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0]) * yes
    values = {"train_accuracy": train, "test_accuracy": test, "weight_norm": train + 1}
    values |= {"train_loss": 1.01 - train, "test_loss": 1.01 - test}
    values["zero_loss_fraction"] = np.zeros(6)
    return np.stack([values[k] for k in READ], 1).astype("f4")


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "CANDIDATES", 128)


def refined(path: Path, axes: dict[str, Any], **wanted: Any) -> Refined:
    over = tuple(wanted.pop("over", axes))
    rules = path.parent / "within.toml"
    rules.write_text(WITHIN)
    limits = Wanted(over=over, criteria=str(rules), **{"batch": 8, **wanted})
    return refine_from(path, sweep_of(axes, seed=[0, 1]), limits)


def refine_from(path: Path, sweep: Sweep, wanted: Wanted) -> Refined:
    path.mkdir(exist_ok=True)
    store.write_spec(path, sweep)
    return refine(path, sweep, wanted, Options(), Counts(), planted)


def edges_of(path: Path, over: tuple[str, ...]) -> pd.DataFrame:
    return Result(path).surface(over, criteria=str(path.parent / "within.toml"))


def distance(edges: pd.DataFrame) -> Any:
    """[edges] how far each is from the planted one, in decades; NaN of none."""
    fraction = edges["train_fraction"] if "train_fraction" in edges else 0.7
    low, high = edges_at(edges["alpha"], fraction)
    truth = np.where(edges["edge"] == "min", low, high)
    return np.abs(np.log10(edges["estimate"]) - truth)


LINE = PLANE | {"train_fraction": 0.7}


def test_planted_edges_are_found(tmp_path: Path) -> None:
    whole = refined(tmp_path / "whole", LINE, over=tuple(PLANE), max_runs=24)
    assert not whole.session.code and "median" in whole.known
    edges = edges_of(tmp_path / "whole", tuple(PLANE))
    off = distance(edges)
    assert np.isfinite(off).sum() > 20 and np.nanmedian(off) < 0.1
    runs = Result(tmp_path / "whole").plan
    assert len(runs) == 40 + 24 and not runs["run_id"].duplicated().any()
    # Both seeds take turns.
    points = store.read_points(tmp_path / "whole")
    assert points is not None and points["seed"].value_counts().tolist() == [12, 12]


@pytest.mark.slow
def test_a_stop_changes_nothing(tmp_path: Path) -> None:
    """In two goes, and with what was chosen but not trained."""
    for name, most in (("whole", 24), ("parts", 8)):
        refined(tmp_path / name, LINE, over=tuple(PLANE), max_runs=most)
    for file in (tmp_path / "parts/trajectories").glob("*.parquet"):
        file.unlink()
    refined(tmp_path / "parts", LINE, over=tuple(PLANE), max_runs=24)
    points, again = (store.read_points(tmp_path / name) for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(points, again)
    assert points is not None and len(points) == 24


def test_it_says_why_it_stopped(tmp_path: Path) -> None:
    stopped = refined(tmp_path / "one", PLANE, max_runs=8)
    assert stopped.why == "--max-runs 8 are made; a larger number goes on"
    reached = refined(tmp_path / "one", PLANE, max_runs=80, precision=2.0)
    assert reached.why == REACHED and "90th percentile" in reached.known
    assert len(store.read_points(tmp_path / "one")) == 8  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_surface_over_three_axes_is_found(tmp_path: Path) -> None:
    refined(tmp_path / "space", SPACE, max_runs=80, batch=16)
    edges = edges_of(tmp_path / "space", tuple(SPACE))
    off = distance(edges)
    known = edges["why"] == ""
    assert np.nanmedian(off) < 0.1 and np.nanmax(off[known]) < 0.3
    measured = edges[edges["status"] == "measured"]
    low, high = edges_at(measured["alpha"], measured["train_fraction"])
    truth = 10 ** np.where(measured["edge"] == "min", low, high)
    held = (measured["low"] <= truth) & (truth <= measured["high"])
    assert len(measured) > 40 and held.all()


def test_a_round_trains_one_system_at_the_sweeps_own_values(tmp_path: Path) -> None:
    axes = {"weight_decay": "log:1e-4:1:5", "width": [16, 32, 64]}
    axes |= {"optimizer": ["gd", "adamw"]}
    wanted = Wanted(over=("weight_decay", "width", "optimizer"), batch=6, max_runs=6)
    sweep = sweep_of(axes, alpha=0.0, train_fraction=0.7)
    refine_from(tmp_path / "r", sweep, wanted)
    points = store.read_points(tmp_path / "r")
    assert points is not None and len(points) == 6
    assert points["width"].nunique() == 1 and points["optimizer"].nunique() == 1
    assert set(points["width"]) <= {16, 32, 64}
    assert (
        points["weight_decay"].map(lambda v: float(f"{v:.6g}"))
        == points["weight_decay"]
    ).all()


def test_runs_that_a_budget_cuts_short_get_no_neighbours(tmp_path: Path) -> None:
    """By rules that leave all that has not grokked undecided."""
    sweep = sweep_of(PLANE, train_fraction=0.7, seed=0)
    wanted = Wanted(over=tuple(PLANE), batch=8, max_runs=8)
    refine_from(tmp_path / "r", sweep, wanted)
    result = Result(tmp_path / "r")
    model = surface.model_of(result, tuple(PLANE))
    points = model.cube.points(store.read_points(result.path))
    before = model.points[: len(model.points) - 8]
    nearest = [np.argmin(((before - p) ** 2).sum(axis=1)) for p in points]
    assert model.open_.sum() > 5 and not model.open_[nearest].any()


def test_where_nothing_is_decided_the_way_out_is_a_larger_budget(
    tmp_path: Path,
) -> None:
    none = PLANE | {"weight_decay": [1e-8, 1e-7]}  # below the wedge
    sweep = sweep_of(none, train_fraction=0.7)
    with pytest.raises(ResultError, match="larger budgets, `grokmap sweep RESULT"):
        refine_from(tmp_path / "r", sweep, Wanted(over=tuple(PLANE)))


def test_runs_beyond_the_axes_and_without_one_are_told_from_the_others(
    tmp_path: Path,
) -> None:
    sweep = sweep_of(PLANE, train_fraction=0.7)
    axes = {axis.name: axis for axis in sweep.axes}
    runs = pd.DataFrame(
        [(0.0, 1e-2, "grok"), (0.1, 2.0, "no-learning"), (0.2, 0.0, "memorize-only")],
        columns=["alpha", "weight_decay", "phase"],
    ).assign(censored=False, seed=0, train_fraction=0.7)
    rules = CRITERIA["default"]
    model = surface.model_from(runs, sweep.axes, tuple(PLANE), "weight_decay", rules)
    # The axis reaches to 2 and a run without decay has no place on it.
    assert model is not None and len(model.runs) == 2 and max(axes["alpha"].values) < 1
    assert model.points[:, 1] == pytest.approx([2 / np.log10(2e4), 1.0])
    swept = sweep_of(
        {"optimizer": ["gd", "adamw"], "momentum": [0.0, 0.9], "alpha": [0.0, 0.5]},
        weight_decay=1e-2,
        train_fraction=0.7,
    )
    over = ("alpha", "momentum", "optimizer")
    with pytest.raises(SpecError, match="momentum is not read by some of the runs"):
        refine_from(tmp_path / "r", swept, Wanted(x="alpha", over=over))


@pytest.fixture
def empty(tmp_path: Path) -> Result:
    """A sweep of which nothing is trained."""
    (tmp_path / "empty").mkdir()
    store.write_spec(tmp_path / "empty", sweep_of(SPACE))
    return Result(tmp_path / "empty")


@pytest.mark.parametrize(
    "over, x, message",
    [
        ("alpha,beta", "alpha", "'beta' is no swept axis.* alpha, weight_decay"),
        ("alpha", "alpha", "name two or more different axes"),
        ("alpha,alpha", "alpha", "name two or more different axes"),
        ("alpha,train_fraction", "weight_decay", "choose among: alpha, train"),
        ("alpha,weight_decay", "alpha", "train_fraction: swept too.*--at train"),
    ],
)
def test_axes_that_do_not_fit_are_refused_with_the_way_out(
    empty: Result, over: str, x: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        check(empty, Wanted(x=x, over=tuple(over.split(","))))


def test_rows_have_no_place_over_several_axes(empty: Result) -> None:
    check(empty, Wanted(over=tuple(SPACE)))
    with pytest.raises(SpecError, match="--y-precision"):
        check(empty, Wanted(over=tuple(SPACE), y_precision=0.1))


@pytest.mark.slow
def test_the_command_prints_writes_and_draws(tmp_path: Path, command_line: Any) -> None:
    refined(tmp_path / "space", SPACE, max_runs=1, precision=9.0)
    space, rules = Result(tmp_path / "space"), str(tmp_path / "within.toml")
    over = ("--over", ",".join(SPACE), "--criteria", rules)
    code, out, _ = command_line(
        "surface", str(space.path), *over, "--places", "3", "--format", "png"
    )
    assert code == 0 and "train_fraction 0.9" in out and "edges: median" in out
    assert len(list((space.path / "figures").glob("surface-*.png"))) == 1
    code, out, _ = command_line("surface", str(space.path), *over, "--json")
    facts = json.loads(out)
    assert code == 0 and len(facts["edges"]) == 2 * 13 * 5
    assert {"estimate", "low", "high", "why"} < set(facts["edges"][0])
    words = ("refine", str(space.path), *over, "--dry-run", "--json", "--max-runs", "3")
    code, out, _ = command_line(*words)
    points = json.loads(out)["points"]
    assert code == 0 and len(points) == 3
    assert set(points[0]) == {*SPACE, "seed"}
    chosen = next_round(space, Wanted(over=tuple(SPACE), criteria=rules)).points
    assert points[0]["alpha"] == chosen["alpha"].iloc[0]
