"""Cutting a sweep into shards: who gets what, and that it costs the same."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, small_sweep

from grokmap import plan
from grokmap.engine import shards
from grokmap.errors import SpecError
from grokmap.plan import Planned, read_sweep
from grokmap.session import planned_in
from grokmap.spec.shard import Shard, read_shard

# Below so many runs a shard no cut is even: 5 runs in 2 shards differ by 20%.
RUNS_A_SHARD = 7
SHIPPED = sorted((ROOT / "sweeps").glob("*.toml"))


def shipped(file: Path) -> list[Planned]:
    sweep = read_sweep(file)
    return plan.plan_runs(sweep.with_learning_rate(0.1) if sweep.is_open else sweep)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shards_of_shipped_sweeps_are_balanced_and_whole(file: Path) -> None:
    planned = shipped(file)
    costs = shards.costs_of(planned)
    for of in (1, 2, 3, 8, 16):
        if of * RUNS_A_SHARD > len(planned):
            continue
        numbers = shards.shard_numbers(planned, of)
        assert set(numbers) == set(range(of))
        assert shards.imbalance(costs, numbers, of) <= 0.15
        parts = [shards.part(planned, k + 1, of) for k in range(of)]
        ids = [run.run.run_id for run in itertools.chain(*parts)]
        assert sorted(ids) == sorted(run.run.run_id for run in planned)
        assert max(len(plan.by_system(part)) for part in parts) <= 6


@pytest.mark.parametrize("name", ["quickstart-reference", "finite-size", "fractions"])
def test_measured_costs_are_balanced(name: str) -> None:
    """By what the committed runs took, of which many were over before their budget."""
    path = ROOT / "results" / name
    planned = planned_in(path, read_sweep(path))
    runs = pd.read_parquet(path / "runs.parquet").set_index("run_id")
    seconds = runs.loc[[run.run.run_id for run in planned], "cost_s"].to_numpy()
    for of in (2, 4, 8):
        numbers = shards.shard_numbers(planned, of)
        assert shards.imbalance(seconds, numbers, of) <= 0.15


def test_a_million_runs_in_a_thousand_shards_are_balanced() -> None:
    # A tenth of them here; benchmarks/shards.py does all.
    axes = ("alpha=0:0.6:50", "weight_decay=log:1e-4:1:40", "seed=range:0:50:1")
    axes += ("train_fraction=0.5",)
    planned = plan.plan_runs(read_sweep(ROOT / "sweeps/alpha-lambda.toml", axes))
    assert len(planned) == 100_000
    numbers = shards.shard_numbers(planned, 1000)
    assert shards.imbalance(shards.costs_of(planned), numbers, 1000) <= 0.01


def test_the_cut_is_a_function_of_the_plan_alone() -> None:
    planned = shipped(ROOT / "sweeps/finite-size.toml")
    before = shards.shard_numbers(planned, 7)
    random.seed(1)
    np.random.seed(1)
    assert (shards.shard_numbers(planned, 7) == before).all()
    again = shipped(ROOT / "sweeps/finite-size.toml")
    assert (shards.shard_numbers(again, 7) == before).all()
    # Another cut costs those who change versions in the middle of a sweep time: their
    # shards train what others have done.
    assert before[:12].tolist() == [6, 3, 5, 2, 4, 1, 0, 6, 1, 3, 4, 5]


def test_systems_stay_together_where_there_are_many() -> None:
    # 40 systems of 4 runs, 8 shards of 20 runs: 2 lines of systems.
    widths = tuple(range(16, 96, 2))
    sweep = small_sweep(width=widths, seed=tuple(range(4)))
    planned = plan.plan_runs(sweep)
    numbers = shards.shard_numbers(planned, 8)
    pairs = {(run.run.system.width, k) for run, k in zip(planned, numbers, strict=True)}
    # Each line is cut at 7 places, each of which may split a system.
    assert len(pairs) <= len(widths) + 2 * 7
    small = {k for width, k in pairs if width < 56}
    assert small == set(range(8))  # every shard has small ones and large ones


def test_a_shard_is_no_slice_of_one_axis() -> None:
    # As many shards as weight decays, and all runs cost the same.
    decays = tuple(10.0**-k for k in range(1, 9))
    sweep = small_sweep(weight_decay=decays, seed=tuple(range(16)))
    planned = plan.plan_runs(sweep)
    numbers = shards.shard_numbers(planned, 8)
    for k in range(8):
        own = [run for run, n in zip(planned, numbers, strict=True) if n == k]
        assert len(own) == 16
        counts = [
            sum(run.run.control.weight_decay == decay for run in own)
            for decay in decays
        ]
        assert max(counts) <= 8 and sum(count > 0 for count in counts) >= 4


def test_one_run_that_outweighs_all_leaves_no_shard_empty() -> None:
    sweep = small_sweep(
        n_steps=None, horizon=1, max_steps=10**9, weight_decay=(1e-9, 1.0, 2.0, 3.0)
    )
    planned = plan.plan_runs(sweep)
    assert planned[0].n_steps > 1e5 * planned[1].n_steps
    assert set(shards.shard_numbers(planned, 4)) == {0, 1, 2, 3}
    assert set(shards.shard_numbers(planned, 3)) == {0, 1, 2}


def test_a_minibatch_costs_a_minibatch() -> None:
    whole, batch = (
        shards.costs_of(plan.plan_runs(small_sweep(batch_size=(size,), **LONG)))[0]
        for size in (0, 7)
    )
    # 29 of 49 pairs are trained on, or 7 of them.
    assert whole / batch == pytest.approx(29 / 7, rel=0.01)


LONG = {"n_steps": 10**6, "train_fraction": (0.6,)}


@pytest.mark.parametrize("text", ["1/1", "3/64", " 64 / 64 "])
def test_a_shard_is_read_as_it_is_typed(text: str) -> None:
    shard = read_shard(text)
    assert str(shard) == text.replace(" ", "")
    assert read_shard("3/64") == Shard(3, 64)


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "a/b", "1/0", "-1/4", "1/2/3", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="part k of K"):
        read_shard(text)
