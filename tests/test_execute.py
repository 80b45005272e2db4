from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, labelled, mostly_slow, small_sweep, trajectories

from grokmap import plan
from grokmap.engine import execute
from grokmap.engine.settings import Settings, choose_settings
from grokmap.models import KERNELS
from grokmap.order_parameters import ORDER_PARAMETERS

RUNS = {"alpha": "0,0.3", "weight_decay": "1e-3,0.1", "train_fraction": "0.4,0.7"}


LONG_CHUNKS = execute.Tuning(cpu_chunk_flops=1e12)


def with_settings(
    sweep: Any, tuning: execute.Tuning = execute.Tuning(), **changes: Any
) -> pd.DataFrame:
    """Trajectories under settings that the platform would not choose itself."""

    def choose(*arguments: Any) -> Settings:
        return choose_settings(*arguments)._replace(**changes)

    return trajectories(sweep, tuning=tuning, choose=choose)


@pytest.mark.slow
def test_lanes_order_companions_and_chunk_length_change_nothing() -> None:
    # Bitwise on one CPU machine: a lane never looks at its neighbours.
    names = tuple(ORDER_PARAMETERS)
    sweep = small_sweep(**RUNS, n_steps=150, order_parameters=names)
    n = jax.local_device_count()
    one = trajectories(sweep, lanes=n)
    assert trajectories(sweep, lanes=4 * n).equals(one)
    done = {run.run.run_id for run in plan.plan_runs(sweep)[::2]}
    rest = trajectories(sweep, done=done)
    others = one[~one["run_id"].isin(done)].reset_index(drop=True)
    assert rest.equals(others)
    for flops in (3e5, 1e12):
        tuning = execute.Tuning(cpu_chunk_flops=flops, cpu_least_flops=min(flops, 1e5))
        assert trajectories(sweep, lanes=n, tuning=tuning).equals(one)


@pytest.mark.parametrize(
    "kernel",
    mostly_slow([*KERNELS][1:], ["gather_product", "grid"]),
)
@pytest.mark.slow
def test_kernels_train_alike(kernel: str) -> None:
    sweep = small_sweep(n_steps=20, train_fraction="0.4,0.6", center=True)
    gather = trajectories(sweep)
    other = with_settings(sweep, kernel=kernel)
    pd.testing.assert_frame_equal(other, gather, rtol=2e-5, atol=1e-6)


FOUR_DEVICES = """
import jax, sys
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
from conftest import small_sweep, trajectories
from grokmap import plan
from grokmap.engine.compiled import compile_system
from grokmap.engine.settings import choose_settings

sweep = small_sweep(alpha="0,0.3", seed="0,1,2", n_steps=60)
trajectories(sweep, lanes=4).to_pickle(sys.argv[2])
runs = plan.plan_runs(sweep)
settings = choose_settings(runs[0].run.system, runs, 4)
for together in (False, True):
    compiled = compile_system(
        runs[0].run.system, settings._replace(together=together)
    )
    text = compiled.chunk.as_text() + compiled.refill.as_text()
    for word in ("all-reduce", "all-gather", "all-to-all", "collective", "send("):
        assert word not in text, word
"""


@pytest.mark.slow
def test_four_devices_train_the_same_without_communication(tmp_path: Any) -> None:
    frames = []
    for count in (1, 4):
        out = tmp_path / f"{count}.pkl"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        environment["GROKMAP_TEST_DEVICES"] = str(count)
        subprocess.run(
            [sys.executable, "-c", FOUR_DEVICES, str(count), str(out)],
            check=True,
            env=environment,
            timeout=300,
        )
        frames.append(pd.read_pickle(out))
    assert frames[0].equals(frames[1])


COUNTING = """
import collections, jax, sys

seen = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: seen.update([event]))
from grokmap.cli import main

try:
    main(["sweep", "sweeps/smoke.toml", "--out", sys.argv[1]])
except SystemExit as stop:
    assert not stop.code
print(*(seen[f"/jax/compilation_cache/cache_{k}"] for k in ("hits", "misses")))
"""


@pytest.mark.slow
def test_a_second_start_compiles_nothing(tmp_path: Any) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    counts = []
    for out in ("first", "second"):
        done = subprocess.run(
            [sys.executable, "-c", COUNTING, str(tmp_path / out)],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        counts.append([int(word) for word in done.stdout.split()[-2:]])
    (first_hits, first_misses), (hits, misses) = counts
    assert first_hits == 0 and first_misses > 2
    assert hits == first_misses and misses == 0


def test_a_diverged_run_is_an_outcome_and_harms_no_neighbour() -> None:
    calm = small_sweep(seed="0,1,2", n_steps=300)
    wild = small_sweep(seed="0,1,2", n_steps=300, learning_rate="0.05,30")
    runs = labelled(wild, lanes=6)
    diverged = runs[runs["diverged"]]
    assert set(diverged["learning_rate"]) == {30.0}
    assert len(diverged) == 3
    assert (diverged["phase"] == "no-learning").all()
    assert (diverged["diverged_step"] == diverged["n_steps"]).all()
    assert not diverged["censored"].any()
    assert (diverged["diverged_step"] < 60).all()
    together = trajectories(wild, lanes=6)
    alone = trajectories(calm, lanes=6)
    kept = together[together["run_id"].isin(alone["run_id"])].reset_index(drop=True)
    assert kept.equals(alone)


@pytest.mark.parametrize("extra", mostly_slow([1, 60], [60]))
def test_divergence_at_the_last_step_does_not_depend_on_companions(extra: int) -> None:
    step = int(labelled(small_sweep(learning_rate=30.0))["diverged_step"].iloc[0])
    own = small_sweep(learning_rate=30.0, n_steps=step)
    planned = plan.plan_runs(own)
    longer = plan.plan_runs(small_sweep(seed=5, n_steps=step + extra))
    for runs in (planned, planned + longer):
        (done,) = execute.execute(runs, lanes=2)
        assert isinstance(done, execute.Done)
        mine = done.runs.index(planned[0])
        assert done.steps[mine][-1] == step
        assert np.isnan(done.values[mine][-1]).all()


@pytest.mark.slow
def test_a_settled_run_leaves_early_and_keeps_its_label() -> None:
    grid = {"weight_decay": "0.01,0.02,3", "seed": "0,1", "momentum": 0.9}
    budget = {"n_steps": None, "horizon": 12.0, "max_steps": 8000, "width": 48}
    sweep = small_sweep(**grid, **budget, modulus=11, train_fraction=0.75)
    whole = labelled(sweep).set_index("run_id")
    early = labelled(sweep.model_copy(update={"tail": 0.5})).set_index("run_id")
    assert (early["phase"] == whole["phase"]).all()
    assert set(whole["phase"]) >= {"grok", "no-learning"}
    for column in ("t_mem", "t_grok", "diverged_step"):
        assert early[column].equals(whole[column])
    assert not early["censored"].any()
    grok = early["phase"] == "grok"
    ends = early["n_steps"][grok].astype(float) / early["t_grok"][grok].astype(float)
    assert ends.between(1.5, 1.5 * math.sqrt(2) * 1.05).all()
    assert early["dead"].any()
    dead = early[early["dead"]]
    assert (dead["n_steps"] < dead["budget_steps"]).all()
    # Its records are the first of the whole run's: all order parameters at its end.
    parts = [trajectories(s) for s in (sweep.model_copy(update={"tail": 0.5}), sweep)]
    merged = parts[0].merge(parts[1], on=["run_id", "step"], suffixes=("", "_whole"))
    assert len(merged) == len(parts[0])
    assert merged["test_loss"].equals(merged["test_loss_whole"])


def test_a_failing_chunk_leaves_the_other_runs_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = execute._run_chunk

    def fails(
        compiled: Any, settings: Any, lanes: Any, states: Any, tuning: Any
    ) -> Any:
        if any(state and state.planned.run.seed == 1 for state in states):
            raise RuntimeError("out of luck")
        return real(compiled, settings, lanes, states, tuning)

    monkeypatch.setattr(execute, "_run_chunk", fails)
    planned = plan.plan_runs(small_sweep(seed="0,1,2,3"))
    outcomes = list(execute.execute(planned, lanes=2))
    failed = [o for o in outcomes if isinstance(o, execute.Failed)]
    assert len(failed) == 1 and "out of luck" in failed[0].trace
    runs = [run for o in outcomes for run in o.runs]
    assert sorted(runs) == sorted(planned)
    assert 1 <= len(failed[0].runs) <= 2


@pytest.mark.parametrize("reason", ["out of luck", "RESOURCE_EXHAUSTED: no memory"])
def test_runs_that_were_over_outlive_a_failure(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = execute._run_chunk, []

    def fails_late(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError(reason)
        return real(*arguments)

    monkeypatch.setattr(execute, "_run_chunk", fails_late)
    planned = plan.plan_runs(small_sweep(seed=tuple(range(12))))
    outcomes = list(execute.execute(planned, lanes=4, tuning=LONG_CHUNKS))
    assert len(outcomes[0].runs) == 4 and isinstance(outcomes[0], execute.Done)
    runs = [run for o in outcomes for run in o.runs]
    assert sorted(runs) == sorted(planned)
    failed = [o for o in outcomes if isinstance(o, execute.Failed)]
    assert len(failed) == (reason == "out of luck")


def test_runs_that_were_being_seated_are_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*arguments: Any) -> Any:
        raise RuntimeError("out of luck")

    planned = plan.plan_runs(small_sweep(seed="0,1,2"))
    with monkeypatch.context() as broken:
        broken.setattr(execute, "refill", fails)
        outcomes = list(execute.execute(planned, lanes=2))
    assert all(isinstance(o, execute.Failed) for o in outcomes)
    assert sorted(run for o in outcomes for run in o.runs) == sorted(planned)


@pytest.mark.slow
def test_out_of_memory_halves_the_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = execute._run_chunk, []

    def too_big(
        compiled: Any, settings: Any, lanes: Any, states: Any, tuning: Any
    ) -> Any:
        seen.append(settings.lanes)
        if settings.lanes > 4:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte")
        return real(compiled, settings, lanes, states, tuning)

    sweep = small_sweep(seed=tuple(range(6)))
    expected = trajectories(sweep)
    monkeypatch.setattr(execute, "_run_chunk", too_big)
    assert trajectories(sweep, lanes=16).equals(expected)
    assert seen[:3] == [16, 8, 4]


def test_out_of_memory_while_compiling_halves_the_lanes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, seen = execute.fitting, []

    def too_big(system: Any, settings: Settings) -> Any:
        seen.append(settings.lanes)
        if settings.lanes > 4:
            raise RuntimeError("RESOURCE_EXHAUSTED: while trying tiles")
        return real(system, settings)

    monkeypatch.setattr(execute, "fitting", too_big)
    planned = plan.plan_runs(small_sweep(seed=tuple(range(6))))
    outcomes = list(execute.execute(planned, lanes=16))
    assert seen == [16, 8, 4]
    assert all(isinstance(o, execute.Done) for o in outcomes)


def test_what_cannot_be_compiled_fails_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> Any:
        raise RuntimeError("RESOURCE_EXHAUSTED: not even one lane")

    monkeypatch.setattr(execute, "fitting", fails)
    planned = plan.plan_runs(small_sweep(seed="0,1,2"))
    (failed,) = execute.execute(planned)
    assert isinstance(failed, execute.Failed) and len(failed.runs) == 3


def test_progress_adds_up_to_the_run_steps() -> None:
    sweep = small_sweep(n_steps=None, horizon=1.0, weight_decay="0.01:0.1:5")
    planned = plan.plan_runs(sweep)
    seen: list[execute.Progress] = []
    for _ in execute.execute(planned, lanes=2, hooks=execute.Hooks(seen.append)):
        pass
    budget = sum(run.n_steps for run in planned)
    assert sum(p.run_steps + p.spared for p in seen) == budget
    assert sum(p.lane_steps for p in seen) >= budget


def test_stops_between_chunks() -> None:
    tuning = execute.Tuning(cpu_chunk_flops=1e5, cpu_least_flops=1e5)
    seen: list[execute.Progress] = []
    hooks = execute.Hooks(seen.append, lambda: len(seen) >= 2)
    planned = plan.plan_runs(small_sweep())
    assert list(execute.execute(planned, hooks=hooks, tuning=tuning)) == []
    assert len(seen) == 2


def test_a_stop_keeps_the_runs_that_are_over() -> None:
    seen: list[execute.Progress] = []
    sweep = small_sweep(seed=tuple(range(12)))
    hooks = execute.Hooks(seen.append, lambda: len(seen) >= 2)
    planned = plan.plan_runs(sweep)
    (done,) = execute.execute(planned, lanes=2, hooks=hooks, tuning=LONG_CHUNKS)
    assert len(done.runs) == 4


def test_settings_follow_from_all_runs_of_the_sweep() -> None:
    planned = plan.plan_runs(small_sweep(seed=tuple(range(9))))
    system = planned[0].run.system
    settings = choose_settings(system, planned)
    assert settings.lanes == jax.local_device_count()
    assert settings.tile == 29 and settings.max_tiles == 1
    assert settings.kernel == "gather" and not settings.together
    assert choose_settings(system, planned, lanes=3).lanes % 2 == 0
