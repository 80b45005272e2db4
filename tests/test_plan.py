from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from conftest import small_sweep
from hypothesis import given
from hypothesis import strategies as st

from grokmap import plan
from grokmap.engine.records import n_records, record_grid, recorded
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.spec.words import ALWAYS_READ, LATER_FIELDS, STORED_AS


@given(st.integers(1, 200_000), st.sampled_from([16, 64, 128]))
def test_record_grid_resolves_and_ends_at_the_last_step(
    n_steps: int, per_octave: int
) -> None:
    grid = record_grid(n_steps, per_octave)
    assert grid[-1] == n_steps
    steps = np.concatenate([[0], grid])
    gaps = np.diff(steps)
    assert np.all(gaps > 0)
    # 64 records an octave: 1.6%, below the 2% that t_mem and t_grok are promised.
    assert np.all(gaps <= np.maximum(1, steps[:-1] / per_octave))


@given(st.integers(1, 50_000), st.integers(1, 50_000))
def test_a_longer_run_keeps_the_records_of_a_shorter_one(a: int, b: int) -> None:
    short, long = sorted((a, b))
    kept = set(record_grid(long, 64).tolist())
    assert set(record_grid(short, 64)[:-1].tolist()) <= kept


@given(st.integers(1, 20_000))
def test_sparse_records_are_on_the_grid_and_at_both_ends(n_steps: int) -> None:
    system = small_run().run.system
    steps = np.append(0, record_grid(n_steps, system.records_per_octave))
    at = recorded(steps, n_steps, system)
    assert at.dense.all()
    for mask in at:
        assert mask[0] and mask[-1]
    assert np.all(at.cheap[at.expensive])
    found = {cost: int(mask.sum()) for cost, mask in at._asdict().items()}
    assert found == n_records(n_steps, system)
    # A longer run keeps them, but for the last.
    longer = recorded(steps, 2 * n_steps, system)
    for mine, other in zip(at, longer, strict=True):
        assert np.array_equal(mine[:-1], other[:-1])


def small_run() -> plan.Planned:
    return plan.plan_runs(small_sweep())[0]


def test_longest_runs_come_first() -> None:
    sweep = small_sweep(
        n_steps=None,
        horizon=5.0,
        weight_decay="log:1e-3:1:9",
        train_fraction="0.4,0.6",
    )
    runs = sorted(plan.plan_runs(sweep), key=plan.longest)
    lengths = [(run.n_steps, run.n_train) for run in runs]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize(
    ("weight_decay", "n_steps"),
    [
        (0.0, 50_000),  # no decay time: the cap
        (1e-4, 50_000),  # 5 / 5e-6: the cap
        (1e-2, 10_000),  # 5 / (0.05 * 0.01)
        (1.0, 1000),  # 100 steps: memorisation gets its chance
    ],
)
def test_horizon_is_counted_in_decay_times(weight_decay: float, n_steps: int) -> None:
    sweep = small_sweep(
        n_steps=None, horizon=5.0, max_steps=50_000, weight_decay=weight_decay
    )
    assert plan.plan_runs(sweep)[0].n_steps == n_steps


def test_plan_table_leaves_out_what_the_optimizer_ignores() -> None:
    sweep = small_sweep(momentum=0.5)
    table = plan.plan_table(plan.plan_runs(sweep), sweep)
    assert table["momentum"].tolist() == [0.5]
    assert table["beta1"].isna().all()
    assert table["decay_rate"].tolist() == pytest.approx(
        [0.05 * 1e-3 / 0.5],
        rel=1e-3,  # first order; the exact root is tested with the optimizers
    )


def test_every_row_of_the_table_is_its_run() -> None:
    axes = {"width": "8,16", "alpha": "0,0.3", "weight_decay": "0,0.1", "seed": "1,0"}
    sweep = small_sweep(
        **axes,
        train_fraction="0.3,0.6",
        n_steps=None,
        horizon=5.0,
        order_parameters=("snr", "rqi"),
    )
    planned = plan.plan_runs(sweep)
    # In any order, even with the systems mixed.
    mixed = planned[::2] + planned[1::2]
    table = plan.plan_table(mixed, sweep)
    for row, planned_run in zip(table.to_dict("records"), mixed, strict=True):
        run, rate, n_steps, n_train, _ = planned_run
        assert n_train == round(run.control.train_fraction * 49)
        later = set(LATER_FIELDS)
        fields = {k: v for k, v in vars(run.system).items() if k not in later}
        system = {STORED_AS.get(k, k): v for k, v in fields.items()}
        system |= {"order_parameters": "snr,rqi"}
        control = {k: getattr(run.control, k) for k in (*ALWAYS_READ, "momentum")}
        alone = plan.decay_rate(run.system, run.control)
        expected = {**system, **control, "run_id": run.run_id, "seed": run.seed}
        expected |= {"decay_rate": alone, "horizon": 5.0, "budget_steps": n_steps}
        assert rate == alone and row == row | expected


def test_a_million_runs_would_fit_in_memory() -> None:
    # 1.2 of 2 GiB: the rest is for imports and for writing. Measured: 0.9 kB a run,
    # of which a third are the names of quantities, here all that need no request.
    sweep = small_sweep(
        alpha="0:0.6:40",
        weight_decay="log:1e-4:1:50",
        seed="range:0:10:1",
        order_parameters=tuple(
            k for k, e in ORDER_PARAMETERS.items() if not e.on_request
        ),
    )
    tracemalloc.start()
    planned = plan.plan_runs(sweep)
    table = plan.plan_table(planned, sweep)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Arrow's strings are not traced; arrays of numpy count twice.
    assert (peak + table.memory_usage().sum()) / len(planned) < 1200  # bytes
