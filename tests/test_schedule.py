from __future__ import annotations

import sys

import numpy as np
import pytest
from conftest import ROOT, small_sweep
from hypothesis import given, settings
from hypothesis import strategies as st

from grokmap import plan
from grokmap.classify import CRITERIA, over_at
from grokmap.engine.records import NEVER, record_grid, recorded
from grokmap.engine.schedule import (
    Due,
    RunState,
    aligned,
    flops_of_step,
    groups_of,
    slots_of,
    steps_alike,
)

sys.path.insert(0, str(ROOT / "benchmarks"))
from gpu_schedule import Simulated  # noqa: E402

SWEEP = ROOT / "sweeps/alpha-lambda.toml"
NAMES = {
    "dense": ("train_loss", "train_accuracy", "test_accuracy", "weight_norm"),
    "cheap": ("snr",),
    "expensive": ("sharpness",),
}


def state_of(n_steps: int) -> RunState:
    return RunState(plan.plan_runs(small_sweep(n_steps=n_steps))[0], NAMES)


def values_at(steps: np.ndarray) -> np.ndarray:
    """What a network would record at these steps: columns that tell the step."""
    columns = [1.0 + 0 * steps, 0 * steps, 0 * steps, 1.0 + 0 * steps, steps, -steps]
    return np.stack(columns, axis=1).astype(np.float32)


def chunk_alone(state: RunState, budget: int, n_slots: int) -> tuple[Due, np.ndarray]:
    """What a chunk of one lane records."""
    slots, due = slots_of(state, budget, n_slots)
    assert 1 <= slots.n <= n_slots
    assert slots.interval.sum() == due.length <= max(budget, 1)
    return due, values_at(state.step + np.cumsum(slots.interval))


def chunk_together(
    states: list[RunState | None], budget: int, n_groups: int, size: int
) -> tuple[list[Due], np.ndarray]:
    """What a chunk of lanes that step together records: [G, K, columns].

    Of a lane that is not measured in a group that is: nothing.
    """
    groups, due = groups_of(states, budget, n_groups, size)
    assert 1 <= groups.n <= n_groups
    assert groups.interval.sum() == max(d.length for d in due) <= budget
    records = np.full((n_groups, size, 6), 1e9, np.float32)
    at = np.cumsum(groups.interval)
    for group in range(groups.n):
        for place, lane in enumerate(groups.lanes[group]):
            state = states[lane]
            if state:
                row = values_at(np.array([state.step + at[group]]))
                row[:, 4] = np.where(groups.cheap[group], row[:, 4], 1e9)
                row[:, 5] = np.where(groups.expensive[group], row[:, 5], 1e9)
                records[group, place] = row
    return due, records


@settings(max_examples=20)
@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=4),
    st.integers(1, 3000),
    st.integers(4, 80),
    st.integers(0, 3),
)
def test_every_run_gets_its_own_records_whatever_the_chunks(
    lengths: list[int], budget: int, n_slots: int, size: int
) -> None:
    # Lanes alone (size 0) or together, refilled as runs end.
    queue, over = [state_of(n) for n in lengths], []
    lanes: list[RunState | None] = [None] * 3
    while queue or any(lanes):
        lanes = [s or (queue.pop(0) if queue else None) for s in lanes]
        if size:
            due, records = chunk_together(lanes, budget, n_slots, size)
        for i, state in enumerate(lanes):
            if state:
                pair = (
                    (due[i], records) if size else chunk_alone(state, budget, n_slots)
                )
                state.take(*pair)
                trajectory = state.outcome(NEVER)
                if trajectory:
                    over.append((state, trajectory))
                    lanes[i] = None
    for state, trajectory in over:
        system, n_steps = state.planned.run.system, state.planned.n_steps
        grid = record_grid(n_steps, system.records_per_octave)
        assert trajectory.step.tolist() == [0, *grid.tolist()]
        due = recorded(trajectory.step, n_steps, system)
        snr, sharpness = trajectory.values[:, 4], trajectory.values[:, 5]
        assert np.array_equal(snr[due.cheap], trajectory.step[due.cheap])
        assert np.isnan(snr[~due.cheap]).all()
        assert np.array_equal(sharpness[due.expensive], -trajectory.step[due.expensive])
        assert np.isnan(sharpness[~due.expensive]).all()


def test_a_diverged_run_ends_at_its_first_unsound_step() -> None:
    state = state_of(1000)
    _, due = slots_of(state, 1000, 1000)
    rows = values_at(due.offsets)
    rows[due.offsets >= 300] = np.nan
    state.take(due, rows)
    trajectory = state.outcome(297)
    assert trajectory is not None
    assert trajectory.step[-1] == 297 and np.isnan(trajectory.values[-1]).all()
    assert np.isfinite(trajectory.values[-2, 0]) and trajectory.step[-2] < 297


def test_lanes_are_given_the_same_work_until_the_first_is_done() -> None:
    fraction = {"train_fraction": 0.9, "n_steps": 1000}
    small = state_of(1000)
    large = RunState(plan.plan_runs(small_sweep(**fraction))[0], NAMES)
    flops = 6 * 16 * 7 * 44  # a step of the larger
    assert flops_of_step(large.planned) == flops
    assert steps_alike([small, None, large], 100 * flops, 0.0) == [152, 0, 100]
    # The first to end decides, and no chunk is too small to be worth it.
    small.step = 970
    assert steps_alike([small, large], 100 * flops, 0.0) == [30, 20]
    assert steps_alike([small, large], 100 * flops, 50 * flops) == [76, 50]
    assert steps_alike([large], 1.0, 0.0) == [1]


def settled(train: list[float], test: list[float], norm: list[float]) -> list[bool]:
    step = np.array([0, 1, 2, 4, 8, 16])
    parts = [np.array(x, np.float32) for x in (train, test, norm)]
    return over_at(step, *parts, 1.0, CRITERIA["default"]).tolist()


ONES = [1.0] * 6


def test_a_label_is_settled_once_a_grok_has_held_or_the_weights_are_gone() -> None:
    # Grokked at step 4: held at 8 = (1 + 1) 4.
    grokked = [0, 0, 0, 1, 1, 1]
    assert settled(ONES, grokked, ONES) == [False] * 4 + [True, True]
    # A dip starts the count again; so does one of the training accuracy.
    dip = [0, 0, 1, 0, 1, 1]
    assert settled(ONES, dip, ONES) == [False] * 5 + [True]
    assert settled(dip, ONES, ONES) == [False] * 5 + [True]
    # Memorised, however long, is not settled: it may still grok.
    assert not any(settled(ONES, [0.0] * 6, ONES))
    assert settled(ONES, [0.0] * 6, [1, 0.1, 1e-2, 1e-3, 1e-4, 1e-5])[3:] == [
        False,
        True,
        True,
    ]


def test_no_tail_settles_at_the_crossing_and_an_endless_one_never() -> None:
    step = np.arange(6)
    ones, norm = np.ones(6, np.float32), np.ones(6, np.float32)
    late = np.array([0, 0, 0, 1, 1, 1], np.float32)
    rule = CRITERIA["default"]
    assert over_at(step, ones, late, norm, 0.0, rule).tolist() == [
        *[False] * 3,
        *[True] * 3,
    ]
    assert not over_at(step, ones, late, norm, float("inf"), rule).any()


@pytest.mark.parametrize("n_slots", [1, 512])
def test_without_a_run_nothing_is_due(n_slots: int) -> None:
    assert slots_of(None, 100, n_slots)[0].n == 0
    groups, due = groups_of([None, None], 100, n_slots, 2)
    assert groups.n == 0 and [d.length for d in due] == [0, 0]


def test_only_the_lanes_that_are_due_are_measured() -> None:
    young, old = state_of(5000), state_of(5000)
    old.step, old.taken = 2048, int(np.searchsorted(old.steps, 2048, side="right"))
    groups, due = groups_of([old, None, young], 64, 100, 1)
    # The old one is due every 32 steps, the young one, which starts, at every step.
    assert due[0].offsets.tolist() == [32, 64]
    assert due[2].offsets.tolist() == list(range(65))
    assert (
        groups.n == 67 and sorted(groups.lanes[:67, 0].tolist()) == [0] * 2 + [2] * 65
    )
    # A second measurement of a step does not train.
    at = np.cumsum(groups.interval[:67])
    assert np.bincount(at)[[31, 32, 64]].tolist() == [1, 2, 2]


def test_chunks_end_where_the_first_run_has_done_a_multiple() -> None:
    state = state_of(5000)
    assert aligned([None, state], 2048) == 2048
    state.step = 2000
    assert aligned([None, state], 2048) == 48
    assert aligned([None], 2048) == 2048


@pytest.mark.parametrize("lanes", [64, 512, 1024])
def test_records_of_a_sweep_at_full_size_are_measured_about_once(lanes: int) -> None:
    """A part of `benchmarks/gpu_schedule.py`: less than one lane in eight refilled."""
    runs = plan.plan_runs(plan.read_sweep(SWEEP))
    row = Simulated(runs[: 3 * lanes], lanes).run()
    assert all(1.0 <= made <= 1.3 for made in row["made_over_due"].values())
    assert row["all_lanes_over_due"] > 3
