"""Lanes that step together, as on a GPU, forced on a CPU: they train the same runs.

Their sums are rounded in another order, so values agree to a tolerance and labels
exactly; which steps are recorded, and what is not due there, agree exactly as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, mostly_slow, small_sweep, trajectories

from grokmap import plan
from grokmap.classify import classify
from grokmap.engine import compiled, cost, execute, settings
from grokmap.engine.records import Groups
from grokmap.models import MODELS

TOKENS = {"alpha": 1.0, "alpha_convention": "standard", "activation": "relu"}
DEEP = {**TOKENS, "depth": 2}
TEACHER = {"modulus": None, "n_inputs": 8, "n_examples": 48}
ADAM = {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1}
# Of each model a system that trains; of the two-layer network more.
SYSTEMS: dict[str, dict[str, Any]] = {
    "two_layer": {"order_parameters": ("snr", "effective_rank", "sharpness")},
    "two_layer adamw": {
        "activation": "relu",
        "bias": True,
        "loss": "cross_entropy",
        "alpha_convention": "survey_code",
        **ADAM,
    },
    "two_layer batches": {"batch_size": 8, "batch_replacement": False, "dropout": 0.1},
    "two_layer label noise": {"label_noise": 0.2, "center": True},
    "committee": {**TEACHER, "task": "quadratic_teacher"},
    "tensor": {},
    "linear": {
        **TEACHER,
        "task": "linear_teacher",
        "width": None,
        "alpha": 1.0,
        "alpha_convention": "standard",
    },
    "diagonal": {
        **TEACHER,
        "task": "linear_teacher",
        "width": None,
        "alpha": 1.0,
        "alpha_convention": "standard",
    },
    "mlp": {**DEEP, **ADAM},
    "embedding_mlp": {**DEEP, **ADAM, "embedding": 8},
    "concatenated_mlp": {**DEEP, **ADAM, "embedding": 8},
    "token_mlp": {
        **DEEP,
        **ADAM,
        "embedding": 8,
        "alpha_convention": "normal",
        "activation": "gelu",
    },
    "transformer": {**TOKENS, **ADAM, "embedding": 16, "loss": "cross_entropy"},
}


def test_every_model_is_among_the_systems() -> None:
    assert {name.partition(" ")[0] for name in SYSTEMS} == set(MODELS)


def together(sweep: Any, *, lanes: int, tuning: execute.Tuning) -> pd.DataFrame:
    """Trajectories of lanes that step together, two of a device measured at once."""

    def choose(*arguments: Any) -> settings.Settings:
        chosen = settings.choose_settings(*arguments)
        kernel = "gather_product"
        return chosen._replace(together=True, lanes=lanes, block=3, kernel=kernel)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "SHARE", 2)
        return trajectories(sweep, tuning=tuning, choose=choose)


@pytest.mark.parametrize("system", mostly_slow(SYSTEMS, ["two_layer"]))
@pytest.mark.slow
def test_lanes_together_train_the_runs_of_lanes_alone(system: str) -> None:
    keys = {"model": system.partition(" ")[0], **SYSTEMS[system]}
    sweep = small_sweep(
        n_steps=None, horizon=0.4, min_steps=60, max_steps=150, seed="0:4:5", **keys
    )
    alone = trajectories(sweep)
    tuning = execute.Tuning(gpu_chunk_steps=64)  # so that lanes are refilled
    lanes = 4 * jax.local_device_count()
    found = together(sweep, lanes=lanes, tuning=tuning)
    # Found: 2e-4 of small losses with AdamW, 1e-5 at most elsewhere.
    pd.testing.assert_frame_equal(found, alone, rtol=1e-3, atol=1e-6)
    table = plan.plan_table(plan.plan_runs(sweep), sweep)
    labels = [classify(frame, table)["phase"].tolist() for frame in (found, alone)]
    assert labels[0] == labels[1] and len(labels[0]) == 5


def settings_of(sweep: Any, lanes: int) -> tuple[Any, settings.Settings]:
    runs = plan.plan_runs(sweep)
    chosen = settings.choose_settings(runs[0].run.system, runs)
    return runs[0].run.system, chosen._replace(together=True, lanes=lanes)


def test_a_group_measures_its_lanes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed for a record is that of two lanes, not of all eight."""
    monkeypatch.setattr(settings, "SHARE", 4)
    n = jax.local_device_count()
    system, chosen = settings_of(small_sweep(modulus=11, width=20), 8 * n)
    program = compiled.build_program(system, chosen)
    lane = compiled.shapes_of_lanes(program, chosen._replace(lanes=8 * n))
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct((8, *x.shape[1:]), x.dtype), lane)
    slots = compiled._shapes_of_slots(chosen)
    groups = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), slots)
    assert isinstance(groups, Groups) and groups.lanes.shape[1] == 2
    text = str(jax.make_jaxpr(program.chunk_together)(one, groups))
    # Hidden activations of all 121 pairs: only of the lanes of a group.
    assert "f32[2,121,20]" in text and "f32[8,121,20]" not in text


def test_only_fresh_lanes_are_initialised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SHARE", 4)
    n = jax.local_device_count()
    system, chosen = settings_of(small_sweep(), 8 * n)
    filled = compiled._refill(compiled.build_program(system, chosen), chosen)
    lanes = compiled.shapes_of_lanes(compiled.build_program(system, chosen), chosen)
    starts = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype),
        compiled._shapes_of_starts(chosen),
    )
    text = str(jax.make_jaxpr(filled)(lanes, *starts))
    # One order of the 49 examples for each of two lanes is drawn, none for all.
    assert "sort" in text
    sorts = [line for line in text.splitlines() if " sort[" in line]
    assert sorts and all("[2,49]" in line for line in sorts)


@pytest.mark.slow
def test_lanes_that_do_not_fit_the_memory_are_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, sizes = compiled.compile_system, []

    def counted(system: Any, chosen: settings.Settings) -> compiled.Compiled:
        sizes.append(chosen.lanes)
        return real(system, chosen)

    monkeypatch.setattr(compiled, "compile_system", counted)
    n = jax.local_device_count()
    system, chosen = settings_of(small_sweep(modulus=23, width=64), 16 * n)
    made, same = compiled.fitting(system, chosen)
    assert same == chosen and sizes == [16 * n]  # one compile where they fit
    used = compiled.bytes_of_chunk(made)
    tight = chosen.target._replace(memory=0.55 * used / compiled.GPU_MEMORY_SHARE)
    made, fewer = compiled.fitting(system, chosen._replace(target=tight))
    assert n <= fewer.lanes <= 8 * n and fewer.lanes % n == 0
    assert compiled.bytes_of_chunk(made) <= 0.55 * used


@pytest.mark.parametrize("of_device", [1, 63, 64, 127, 128, 1000])
def test_timed_chunks_hold_every_record_that_they_are_divided_by(
    of_device: int,
) -> None:
    """As many groups as records of all lanes make, whatever the lanes."""
    n = jax.local_device_count()
    _, chosen = settings_of(small_sweep(), of_device * n)
    records = cost.most_records(chosen)
    groups = cost._slots(chosen, 7, records)
    assert isinstance(groups, Groups)
    used = int(groups.n[0])
    assert used <= compiled.GROUPS
    assert groups.interval[0, :used].sum() == 7 * records
    for group in np.split(groups.lanes[0, :used], records):
        assert set(group.ravel()) == set(range(of_device))


HALVES = """
import os, sys
if sys.argv[3]:
    os.sched_setaffinity(0, set(map(int, sys.argv[3].split(","))))
import pandas as pd
import jax
jax.config.update("jax_num_cpu_devices", 4)
from conftest import small_sweep, trajectories
from grokmap import plan

sweep = small_sweep(alpha="0,0.3", seed="0,1,2", n_steps=60)
runs = [run.run.run_id for run in plan.plan_runs(sweep)]
half = {"all": [], "first": runs[3:], "second": runs[:3]}[sys.argv[1]]
trajectories(sweep, done=set(half), lanes=4).to_pickle(sys.argv[2])
"""


@pytest.mark.slow
def test_two_processes_on_halves_of_a_machine_train_the_same_tables(
    tmp_path: Any,
) -> None:
    cores = sorted(os.sched_getaffinity(0))
    middle = len(cores) // 2
    bound = {"all": [], "first": cores[:middle], "second": cores[middle:]}
    frames = {}
    for part, own in bound.items():
        out = tmp_path / f"{part}.pkl"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        environment["GROKMAP_TEST_DEVICES"] = "4"
        subprocess.run(
            [sys.executable, "-c", HALVES, part, str(out), ",".join(map(str, own))],
            check=True,
            env=environment,
            timeout=300,
        )
        frames[part] = pd.read_pickle(out)
    halves = pd.concat([frames["first"], frames["second"]])
    halves = halves.sort_values(["run_id", "step"], ignore_index=True)
    assert len(np.unique(halves["run_id"])) == 6
    assert halves.equals(frames["all"])
