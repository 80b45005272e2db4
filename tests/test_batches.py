"""Minibatches: with and without replacement, epochs, and both as swept keys."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SMALL, trajectories

from grokmap.engine import train
from grokmap.engine.lane import training_of
from grokmap.errors import SpecError
from grokmap.plan import expand, plan_runs, plan_table, read_sweep
from grokmap.spec import Sweep

P, N_TRAIN, BATCH = 5, 15, 4


def sweep_of(**changes: Any) -> Sweep:
    """A checked sweep of tiny runs; None removes a key."""
    values = {k: v for k, v in {**SMALL, **changes}.items() if v is not None}
    return read_sweep(
        {k: list(v) if k == "order_parameters" else v for k, v in values.items()}
    )


def losses(**changes: Any) -> np.ndarray:
    return trajectories(sweep_of(**changes))["train_loss"].to_numpy()


def rows_of_steps(n_steps: int, **keys: Any) -> tuple[np.ndarray, list[list[int]]]:
    """The training examples of a run, and the rows that each of its steps trains on."""
    sweep = sweep_of(modulus=P, train_fraction=N_TRAIN / P**2, width=8, **keys)
    (planned,) = plan_runs(sweep)
    system = planned.run.system
    program = train.build(system, tile=P**2, max_tiles=1)
    control = jax.tree.map(jnp.float32, planned.run.control)
    lane = program.init(control, jnp.int32(N_TRAIN), jnp.uint32(0))
    key, steps = jax.random.key(3), []
    for step in range(n_steps):
        lane = lane._replace(step=jnp.int32(step))
        now = training_of(system, lane)
        step_key = jax.random.fold_in(key, step)
        lane, now = train._with_batch(system, lane, now, step_key)
        steps.append(np.asarray(now.rows)[: int(now.n_train)].tolist())
    return np.flatnonzero(lane.train), steps


def test_an_epoch_passes_once_through_all_training_examples() -> None:
    examples, steps = rows_of_steps(8, batch_size=BATCH, batch_replacement=False)
    assert [len(step) for step in steps] == [4, 4, 4, 3] * 2
    first, second = sum(steps[:4], []), sum(steps[4:], [])
    assert sorted(first) == sorted(second) == examples.tolist()
    assert first != second  # each epoch in an order of its own


def test_with_replacement_every_batch_is_drawn_by_itself() -> None:
    examples, steps = rows_of_steps(60, batch_size=BATCH)
    assert {len(step) for step in steps} == {BATCH}
    assert set(sum(steps, [])) == set(examples.tolist())
    assert any(len(set(step)) < BATCH for step in steps)


@pytest.mark.slow
def test_one_batch_of_all_examples_is_the_full_gradient() -> None:
    """A batch as large as the training set, without replacement, is no noise."""
    keys: dict[str, Any] = {"modulus": 5, "n_steps": 32, "width": 8}
    whole = losses(**keys)
    batches = losses(**keys, batch_size=P**2, batch_replacement=False)
    np.testing.assert_allclose(batches, whole, rtol=1e-4)


@pytest.mark.parametrize("size", [0, 1, 4, 15])
def test_a_budget_in_epochs(size: int) -> None:
    sweep = sweep_of(modulus=P, train_fraction=N_TRAIN / P**2, n_steps=None, n_epochs=7)
    (planned,) = plan_runs(sweep.model_copy(update={"batch_size": (size,)}))
    per_epoch = {0: 1, 1: 15, 4: 4, 15: 1}[size]
    assert planned.n_steps == 7 * per_epoch


def test_one_budget_only() -> None:
    for keys in ({"n_epochs": 7}, {"n_steps": None}):
        with pytest.raises(SpecError, match="one of horizon .* n_steps .* n_epochs"):
            sweep_of(**keys)


def test_without_replacement_needs_a_batch_size() -> None:
    with pytest.raises(SpecError, match="need a batch_size of 1 or more"):
        sweep_of(batch_size="0,8", batch_replacement=False)


def test_batch_sizes_are_an_axis_and_keep_the_ids_of_fixed_ones() -> None:
    swept = sweep_of(axes={"batch_size": [0, 8]})
    ids = [run.run_id for run in expand(swept)]
    fixed = [next(expand(sweep_of(batch_size=size))).run_id for size in (0, 8)]
    assert ids == fixed
    table = plan_table(plan_runs(swept), swept)
    assert table["batch_size"].tolist() == [0, 8]
    assert [axis.name for axis in swept.axes] == ["batch_size"]


@pytest.mark.slow
def test_published_seeds_are_an_axis() -> None:
    keys: dict[str, Any] = {
        "task": "plain_addition",
        "model": "embedding_mlp",
        "modulus": 5,
        "width": 8,
        "depth": 2,
        "embedding": 1,
        "alpha_convention": "standard",
        "alpha": 1,
        "order_parameters": [],
    }
    swept = sweep_of(**keys, axes={"published_seed": [0, 58]})
    assert [run.system.published_seed for run in expand(swept)] == [0, 58]
    first = [losses(**keys, published_seed=seed)[0] for seed in (0, 58)]
    assert first[0] != first[1]
