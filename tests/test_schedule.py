from __future__ import annotations

import numpy as np
import pytest
from conftest import small_sweep
from hypothesis import given, settings
from hypothesis import strategies as st

from grokmap import plan
from grokmap.classify import CRITERIA, over_at
from grokmap.engine.records import NEVER, record_grid, recorded
from grokmap.engine.schedule import RunState, flops_of_step, slots_of, steps_alike

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


@settings(max_examples=20)
@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=4),
    st.integers(1, 3000),
    st.integers(1, 80),
)
def test_every_run_gets_its_own_records_whatever_the_chunks(
    lengths: list[int], budget: int, n_slots: int
) -> None:
    # Lanes that step together, each at its own step, refilled as runs end.
    queue = [state_of(n) for n in lengths]
    states, over = [queue.pop(0)], []
    while states:
        slots = slots_of(states, budget, n_slots)
        assert 1 <= slots.n <= n_slots and slots.interval.sum() <= max(budget, 1)
        offsets = np.cumsum(slots.interval[: slots.n])
        for state in states[:]:
            state.take(offsets, values_at(state.step + offsets))
            trajectory = state.outcome(NEVER)
            if trajectory:
                over.append((state, trajectory))
                states.remove(state)
        states += [queue.pop(0)] if queue and len(states) < 3 else []
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
    slots = slots_of([state], 1000, 1000)
    offsets = np.cumsum(slots.interval[: slots.n])
    rows = values_at(offsets)
    rows[offsets >= 300] = np.nan
    state.take(offsets, rows)
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
def test_no_seats_no_slots(n_slots: int) -> None:
    assert slots_of([], 100, n_slots).n == 0
