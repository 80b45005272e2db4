from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import labelled, small_sweep, trajectories

from grokmap import execute, plan
from grokmap.train import VOCABULARY

RUNS = {"alpha": "0,0.3", "weight_decay": "1e-3,0.1", "train_fraction": "0.4,0.7"}


def test_lanes_order_and_companions_change_nothing() -> None:
    # Bitwise on one CPU machine: a lane never looks at its neighbours.
    names = tuple(VOCABULARY.order_parameters)
    sweep = small_sweep(**RUNS, n_steps=150, order_parameters=names)
    devices = jax.local_device_count()
    one = trajectories(sweep, lanes=2 * devices)
    assert trajectories(sweep, lanes=8 * devices).equals(one)
    # A single lane a device is compiled to other sums, so only to rounding.
    alone = trajectories(sweep, lanes=devices)
    pd.testing.assert_frame_equal(alone, one, rtol=1e-4, atol=1e-5)


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


@pytest.mark.parametrize("extra", [1, 60])
def test_divergence_at_the_last_step_does_not_depend_on_companions(extra: int) -> None:
    step = int(labelled(small_sweep(learning_rate=30.0))["diverged_step"].iloc[0])
    own = small_sweep(learning_rate=30.0, n_steps=step)
    planned = plan.plan(own, VOCABULARY)
    longer = plan.plan(small_sweep(seed=5, n_steps=step + extra), VOCABULARY)
    last = []
    for runs in (planned, planned + longer):
        for outcome in execute.execute(runs, lanes=2):
            assert isinstance(outcome, execute.Done)
            ids = [run.run.run_id for run in outcome.batch.runs]
            mine = outcome.records.run == ids.index(planned[0].run.run_id)
            last.append(
                (outcome.records.step[mine][-1], outcome.records.values[mine][-1])
            )
    assert last[0][0] == last[1][0] == step
    assert np.isnan(last[0][1]).all() and np.isnan(last[1][1]).all()


def test_a_failing_batch_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = execute.run_batch

    def fails_once(batch: plan.Batch, *rest: Any) -> Any:
        if any(run.run.seed == 1 for run in batch.runs):
            raise RuntimeError("out of luck")
        return real(batch, *rest)

    monkeypatch.setattr(execute, "run_batch", fails_once)
    planned = plan.plan(small_sweep(seed="0,1,2,3"), VOCABULARY)
    outcomes = list(execute.execute(planned, lanes=2))
    failed = [o for o in outcomes if isinstance(o, execute.Failed)]
    assert len(failed) == 1 and "out of luck" in failed[0].trace
    done = [o for o in outcomes if isinstance(o, execute.Done)]
    assert len(done) == 1 and len(done[0].batch.runs) == 2


def test_progress_adds_up_to_the_run_steps() -> None:
    sweep = small_sweep(n_steps=None, horizon=1.0, weight_decay="0.01:0.1:5")
    planned = plan.plan(sweep, VOCABULARY)
    steps: list[int] = []
    for _ in execute.execute(
        planned, lanes=2, on_progress=lambda p: steps.append(p.run_steps)
    ):
        pass
    assert sum(steps) == sum(run.n_steps for run in planned)


def test_stops_between_chunks() -> None:
    seen: list[int] = []
    outcomes = execute.execute(
        plan.plan(small_sweep(), VOCABULARY),
        on_progress=lambda p: seen.append(p.run_steps),
        should_stop=lambda: len(seen) >= 2,
    )
    assert list(outcomes) == []
    assert len(seen) == 2


def test_settings_fill_lanes_evenly() -> None:
    planned = plan.plan(small_sweep(seed=tuple(range(9))), VOCABULARY)
    system = planned[0].run.system
    settings = execute.choose_settings(system, planned, lanes=8)
    assert settings.lanes in (5, 6)  # two batches of 9 runs, in multiples of devices
    assert settings.tile == 29 and settings.max_tiles == 1
    assert settings.kernel == "gather"


def test_kernels_train_alike() -> None:
    run = plan.plan(small_sweep(n_steps=20), VOCABULARY)
    settings = execute.choose_settings(run[0].run.system, run)
    losses = []
    for kernel in ("gather", "one_hot"):
        chosen = settings._replace(kernel=kernel)
        compiled = execute.compile_system(run[0].run.system, chosen)
        (batch,) = plan.batches(run, chosen.lanes)
        done = execute.run_batch(
            batch, compiled, chosen, lambda progress: None, lambda: False
        )
        assert done is not None
        losses.append(done.records.values[:, 0])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
