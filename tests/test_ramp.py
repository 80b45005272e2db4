"""Weight decay that rises and falls along one run."""

from __future__ import annotations

import tomllib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tomli_w
from conftest import ROOT, labelled, mostly_slow, small_sweep, trajectories

from grokmap import plan, store
from grokmap.engine import execute
from grokmap.engine.records import Slots
from grokmap.engine.schedule import Kept
from grokmap.engine.step_size import choose_learning_rate
from grokmap.engine.train import build
from grokmap.errors import SpecError
from grokmap.optimizers import OPTIMIZERS
from grokmap.plan import count_runs, expand
from grokmap.spec import Control, Sweep, weight_decay_at
from grokmap.spec.words import control_at

RAMP = {"n_steps": None, "ramp_factor": 30.0, "ramp_steps": 60, "weight_decay": 1e-2}
TEXT = """
name = "x"
task = "modular_addition"
modulus = 7
width = 16
alpha = 0
train_fraction = 0.6
learning_rate = 0.05
weight_decay = 1e-3
ramp_factor = 30
ramp_steps = 1000
"""
CONTROL = Control(0.0, 0.5, 0.6, 0.1, ramp_factor=16.0, ramp_steps=100.0)


def test_the_ramp_is_geometric_up_and_down() -> None:
    steps = np.array([0, 25, 50, 100, 150, 200, 250])
    expected = [0.5, 1, 2, 8, 2, 0.5, 0.5]
    np.testing.assert_allclose(weight_decay_at(steps, CONTROL), expected)
    traced = jax.jit(weight_decay_at)(jnp.float32(50), CONTROL)
    assert float(traced) == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize(("n_steps", "expected_below"), [(60, 0.8), (120, 0.6)])
def test_weights_without_gradient_shrink_by_the_product(
    n_steps: int, expected_below: float
) -> None:
    # Weights 1e-8 of their size: the gradient is quadratic in them, decay linear.
    planned = plan.plan_runs(small_sweep(**RAMP))[0]
    control = planned.run.control
    program = build(planned.run.system, tile=29, max_tiles=1)
    lane = program.init(control, jnp.int32(29), jnp.uint32(0))
    lane = lane._replace(params=jax.tree.map(lambda w: 1e-8 * w, lane.params))
    never = jnp.zeros(1, bool)
    slots = Slots(jnp.array([n_steps]), never, never, jnp.int32(1))
    after, _ = jax.jit(program.chunk)(lane, slots)
    rates = 0.05 * np.asarray(weight_decay_at(np.arange(n_steps), control))
    expected = float(np.prod(1 - rates))
    assert expected < expected_below  # else this could not fail
    for name, before in lane.params.items():
        ratio = np.asarray(after.params[name] / before)
        np.testing.assert_allclose(ratio, expected, rtol=2e-5)


DECAYING = [k for k, v in OPTIMIZERS.items() if v.decays]


@pytest.mark.parametrize("optimizer", mostly_slow(DECAYING, ("gd", "adamw")))
@pytest.mark.slow
def test_a_flat_ramp_is_a_constant_weight_decay(optimizer: str) -> None:
    ramp = {"ramp_factor": 1 + 1e-6, "ramp_steps": 30, "n_steps": None}
    flat = trajectories(small_sweep(optimizer=optimizer, **ramp))
    constant = trajectories(small_sweep(optimizer=optimizer, n_steps=60))
    steep = trajectories(small_sweep(optimizer=optimizer, **ramp | {"ramp_factor": 99}))
    wanted = constant["weight_norm"]
    np.testing.assert_allclose(flat["weight_norm"], wanted, rtol=1e-5)
    assert steep["weight_norm"].iloc[-1] < 0.999 * wanted.iloc[-1]


def test_a_ramp_is_followed_to_its_end_whatever_the_network_does() -> None:
    # Groks on the way up (or has its weights killed by the larger factor).
    sweep = small_sweep(
        **RAMP | {"ramp_factor": "3,3000", "ramp_steps": 1500},
        **{"momentum": 0.9, "modulus": 11, "width": 48, "train_fraction": 0.75},
    )
    runs = labelled(sweep).set_index("ramp_factor")
    assert runs["n_steps"].tolist() == [3000, 3000]
    assert runs["phase"].tolist() == ["grok", "no-learning"]
    assert runs["dead"].tolist() == [False, True]
    assert float(runs.loc[3, "t_grok"]) < 2000


def test_a_ramped_run_goes_on_from_where_it_was_kept() -> None:
    sweep = small_sweep(**RAMP, seed="0,1")
    whole = trajectories(sweep)
    tuning = execute.Tuning(cpu_chunk_flops=5e5, cpu_least_flops=1e5)
    kept: dict[str, Kept] = {}
    seen: list[execute.Progress] = []

    def keep(runs: list[Kept]) -> None:
        kept.update({run.run_id: run for run in runs})

    first = execute.Hooks(seen.append, lambda: len(seen) >= 2, keep)
    planned = plan.plan_runs(sweep)
    assert list(execute.execute(planned, hooks=first, tuning=tuning)) == []
    assert all(0 < run.step < 120 for run in kept.values()) and len(kept) == 2
    again = trajectories(sweep, hooks=execute.Hooks(kept=kept.get), tuning=tuning)
    assert again.equals(whole)


def test_the_plan_of_a_ramp() -> None:
    axes = {"ramp_steps": "10,1000", "ramp_factor": "2,30", "weight_decay": "1e-3,0.1"}
    sweep = small_sweep(n_steps=None, **axes)
    planned = plan.plan_runs(sweep)
    assert {run.n_steps for run in planned} == {20, 2000}
    table = plan.plan_table(planned, sweep)
    assert (table["budget_steps"] == 2 * table["ramp_steps"]).all()
    assert table["ramped"].all() and set(table["ramp_factor"]) == {2, 30}
    assert table["horizon"].isna().all()
    # The rate is that of the ramp's foot, whatever its top.
    for _, own in table.groupby("weight_decay"):
        assert own["decay_rate"].nunique() == 1
    plain = plan.plan_table(plan.plan_runs(small_sweep()), small_sweep())
    assert not plain["ramped"].any()
    assert plain[["ramp_factor", "ramp_steps"]].isna().all(axis=None)


def test_ramps_are_part_of_the_identity_only_where_there_are_any() -> None:
    def ids(**changes: Any) -> list[str]:
        return [run.run_id for run in expand(small_sweep(**changes))]

    assert ids() == ids(ramp_factor=1, ramp_steps=0)
    ramps = ids(**RAMP | {"ramp_factor": "2,30", "ramp_steps": "10,60"})
    assert len({*ids(weight_decay=1e-2), *ramps}) == 5
    # As in test_spec: for ever.
    assert ids(**RAMP) == [GOLDEN]


GOLDEN = "152ffd67172e962e"


def test_a_resolved_ramp_reads_back(read: Any) -> None:
    sweep = read(TEXT)
    assert sweep.ramped and count_runs(sweep) == 1 and sweep.tail == float("inf")
    document = tomllib.loads(tomli_w.dumps(sweep.resolved()))
    assert not {"horizon", "n_steps", "max_steps"} & set(document)
    assert Sweep.from_resolved(document) == sweep


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["ramp_steps=0"],
            "ramp_steps = 0: with a ramp_factor above 1, give the steps",
        ),
        (["ramp_steps=0,10"], "ramp_steps = 0: with a ramp_factor above 1"),
        (["ramp_factor=1"], "ramp_factor = 1: with ramp_steps, give the largest"),
        (["ramp_factor=0.5"], "ramp_factor = 0.5: should be at least 1"),
        (["ramp_steps=10.5"], "whole numbers only, not 10.5"),
        (["weight_decay=0"], "weight_decay = 0: a ramp multiplies it"),
        (["horizon=6"], "horizon: not with a ramp, which always takes 2 ramp_steps"),
        (["n_steps=6"], "n_steps: not with a ramp"),
        (["max_steps=6"], "max_steps: not with a ramp"),
        (["tail=1"], "tail: not with a ramp"),
    ],
)
def test_what_goes_with_a_ramp(read: Any, overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(TEXT, *overrides)
    assert len(caught.value.problems) == 1 and message in caught.value.problems[0]


def test_without_a_ramp_nothing_is_asked_of_it(read: Any) -> None:
    sweep = read(TEXT, "ramp_steps=0", "ramp_factor=1", "n_steps=9", "weight_decay=0")
    assert not sweep.ramped


def test_the_automatic_learning_rate_is_stable_at_the_top() -> None:
    top = {"weight_decay": 1e-2, "width": 32}
    ramped = small_sweep(**RAMP | top | {"ramp_factor": 1e5}, learning_rate=1.0)
    constant = small_sweep(**top | {"weight_decay": 1e3}, learning_rate=1.0)
    chosen = choose_learning_rate(ramped)
    assert chosen == choose_learning_rate(constant)
    assert chosen < choose_learning_rate(small_sweep(**top, learning_rate=1.0))


def test_plans_from_before_there_were_ramps_stay_readable() -> None:
    old = ROOT / "tests/golden/schema-1"
    table = store.read_plan(old)
    assert "ramp_steps" not in table and len(table)
    assert not store.read_spec(old).ramped


def test_a_ramp_of_noise_keeps_the_prior() -> None:
    control = CONTROL._replace(temperature=0.02)
    at_top = control_at(100, control, "noise")
    assert at_top.weight_decay == pytest.approx(8)
    assert at_top.temperature / at_top.weight_decay == pytest.approx(0.02 / 0.5)
    assert control_at(100, control, "weight_decay").temperature == 0.02


NOISE = ["optimizer=langevin", "temperature=1e-4", "ramp_of=noise"]


def test_a_ramp_of_noise_is_read_and_kept(read: Any) -> None:
    sweep = read(TEXT, *NOISE)
    (run,) = expand(sweep)
    assert run.system.ramp_of == "noise"
    document = tomllib.loads(tomli_w.dumps(sweep.resolved()))
    assert Sweep.from_resolved(document) == sweep
    assert run.run_id != next(expand(read(TEXT, *NOISE[:2]))).run_id


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["ramp_of=noise"], "ramps a temperature above 0 of optimizer 'langevin'"),
        ([*NOISE, "temperature=0"], "with temperature = 0 found"),
        (
            [*NOISE, "ramp_factor=1", "ramp_steps=0", "n_steps=9"],
            "ramp_of = 'noise': without a ramp",
        ),
        (["ramp_of=heat"], "ramp_of"),
    ],
)
def test_what_goes_with_a_ramp_of_noise(
    read: Any, overrides: list[str], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read(TEXT, *overrides)
    assert message in "\n".join(caught.value.problems)


@pytest.mark.slow
def test_the_engine_ramps_the_noise_it_adds() -> None:
    # Of two chains of one key the steps differ by sqrt(2 s T(t)) xi alone while the
    # weights are next to the origin, where the gradient is of second order.
    sweep = small_sweep(
        **RAMP | {"ramp_factor": 16.0, "ramp_steps": 4},
        **{"optimizer": "langevin", "temperature": 1e-12, "ramp_of": "noise"},
    )
    (planned,) = plan.plan_runs(sweep)
    program = build(planned.run.system, tile=29, max_tiles=1)
    lane = program.init(planned.run.control, jnp.int32(29), jnp.uint32(0))
    lane = lane._replace(params=jax.tree.map(jnp.zeros_like, lane.params))
    step = jax.jit(program.step)

    def size(at: int) -> float:
        moved = step(lane._replace(step=jnp.int32(at))).params["first"]
        return float(jnp.std(moved))

    # T rises 2-fold a step on the way up, and falls again.
    ratios = np.array([size(at) for at in (1, 4, 7)]) / size(0)
    np.testing.assert_allclose(ratios, [2**0.5, 4, 2**0.5], rtol=0.15)
