"""What is done beside the optimizer: schedules, filters, clamps, and exceptions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import SMALL

from grokmap import filters, plan
from grokmap.engine.train import Program, build
from grokmap.errors import SpecError
from grokmap.plan import Planned, read_sweep
from grokmap.schedules import share_at
from grokmap.spec import Control

PLAIN = {"task": "modular_addition", "activation": "relu", "learning_rate": 0.05}
FREE = Control(alpha=0.0, weight_decay=0.0, train_fraction=0.5, learning_rate=1.0)


def planned(**keys: Any) -> Planned:
    values = {k: v for k, v in {**SMALL, **PLAIN, **keys}.items() if v is not None}
    return plan.plan_runs(read_sweep(values))[0]


def started(one: Planned) -> tuple[Program, Any]:
    system = one.run.system
    program = build(system, tile=system.modulus**2, max_tiles=1)
    control = Control(*map(jnp.float32, one.run.control))
    return program, program.init(control, jnp.int32(one.n_train), jnp.uint32(0))


def weights(steps: int, **keys: Any) -> list[dict[str, Any]]:
    """Weights of a run at step 0 and after each of some steps."""
    program, lane = started(planned(**keys))
    step, found = jax.jit(program.step), [lane.params]
    for _ in range(steps):
        lane = step(lane)
        found.append(lane.params)
    return found


def moves(steps: int, **keys: Any) -> list[dict[str, Any]]:
    """What each step adds to the weights."""
    found = weights(steps, **keys)
    return [
        jax.tree.map(jnp.subtract, after, before)
        for before, after in zip(found, found[1:], strict=False)
    ]


def norm(tree: Any) -> float:
    return float(optax.tree.norm(tree))


SCHEDULES = {
    "constant": lambda: optax.linear_schedule(0.0, 1.0, 10),
    "linear": lambda: optax.join_schedules(
        [optax.linear_schedule(0.0, 1.0, 10), optax.linear_schedule(1.0, 0.2, 30)], [10]
    ),
    "cosine": lambda: optax.warmup_cosine_decay_schedule(0.0, 1.0, 10, 40, 0.2),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_those_of_optax(name: str) -> None:
    steps = np.arange(60)
    control = FREE._replace(warmup_steps=10.0, schedule_steps=40.0, final_share=0.2)
    found = jax.vmap(lambda step: share_at(name, step, control))(steps)
    np.testing.assert_allclose(found, jax.vmap(SCHEDULES[name]())(steps), atol=1e-6)


@pytest.mark.slow
def test_a_run_steps_by_its_schedule() -> None:
    # Adam's first steps are of the size of the learning rate.
    keys = {"optimizer": "adamw", "momentum": None, "weight_decay": 0.0}
    peak = norm(moves(1, **keys)[0])
    warm = moves(4, **keys, warmup_steps=4)
    assert norm(warm[0]) == 0
    assert norm(warm[1]) == pytest.approx(peak / 4, rel=0.05)
    end = moves(9, **keys, schedule="linear", schedule_steps=8, final_share=0.0)
    assert norm(end[0]) == pytest.approx(peak, rel=1e-5)
    assert norm(end[8]) == 0


@pytest.mark.slow
def test_decoupled_decay_follows_the_schedule() -> None:
    # As in PyTorch, where a step decays by the learning rate of that step.
    keys = {"optimizer": "adamw", "momentum": None, "weight_decay": 0.5}
    keys |= {"warmup_steps": 10, "learning_rate": 1e-2, "epsilon": 1e30}
    found = weights(3, **keys)
    shrinkage = [1 - norm(b) / norm(a) for a, b in zip(found, found[1:], strict=False)]
    np.testing.assert_allclose(shrinkage, [0, 5e-4, 1e-3], rtol=2e-3, atol=1e-7)


def test_a_filter_amplifies_what_stays() -> None:
    gradients = {"w": jnp.array([1.0, -1.0])}, {"w": jnp.array([1.0, 1.0])}
    memory = filters.start(gradients[0], 0)
    first, memory = filters.amplified(gradients[0], memory, 0, 2.0, 0.5, 0)
    np.testing.assert_allclose(first["w"], [3, -3])  # begins at the first gradient
    second, _ = filters.amplified(gradients[1], memory, 1, 2.0, 0.5, 0)
    np.testing.assert_allclose(second["w"], [3, 1])  # what alternates stays as it is


def test_a_window_is_the_mean_of_the_last_gradients() -> None:
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(7, 3))
    memory = filters.start({"w": jnp.zeros(3)}, 3)
    for step, g in enumerate(gradients):
        found, memory = filters.amplified(
            {"w": jnp.asarray(g)}, memory, jnp.int32(step), 2.0, 0.0, 3
        )
        slow = gradients[step - 2 : step + 1].mean(0) if step >= 2 else 0.0
        np.testing.assert_allclose(found["w"], g + 2 * slow, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("window", [0, 2])
def test_a_run_is_filtered(window: int) -> None:
    # At a small learning rate the gradient stays: all of it is slow.
    keys = {"learning_rate": 1e-4, "filter_strength": 3.0}
    keys |= {"filter_window": window} if window else {"filter_decay": 0.9}
    filtered, plain = moves(3, **keys)[2], moves(3, learning_rate=1e-4)[2]
    assert norm(filtered) / norm(plain) == pytest.approx(4, rel=1e-2)


@pytest.mark.slow
def test_sam_takes_the_gradient_uphill() -> None:
    one = planned(sam_radius=0.5, weight_decay=0.0, momentum=None)
    program, lane = started(one)
    snapshot = program.snapshot(lane)

    def gradient(params: Any) -> Any:
        return snapshot.network.gradient(params, snapshot.training)[1]

    uphill = gradient(lane.params)
    share = 0.5 / norm(uphill)
    there = jax.tree.map(lambda w, g: w + share * g, lane.params, uphill)
    expected = gradient(there)
    after = program.step(lane).params
    size = one.run.control.learning_rate * snapshot.training.scale.gd_step
    for name in lane.params:
        moved = (lane.params[name] - after[name]) / size
        np.testing.assert_allclose(moved, expected[name], rtol=1e-3, atol=1e-5)
    assert norm(expected) != pytest.approx(norm(uphill), rel=1e-2)


def test_a_clamp_holds_the_norm_from_its_step_on() -> None:
    found = weights(5, norm_clamp=0.7, norm_clamp_step=2, weight_decay=1e-3)
    start = norm(found[0])
    free = weights(5, weight_decay=1e-3)
    for step in (1, 2):
        assert norm(found[step]) == pytest.approx(norm(free[step]), rel=1e-6)
    for step in (3, 4, 5):
        assert norm(found[step]) == pytest.approx(0.7 * start, rel=1e-6)


@pytest.mark.slow
def test_a_temperature_divides_the_outputs() -> None:
    def logits(**keys: Any) -> Any:
        program, lane = started(planned(**keys))
        return program.snapshot(lane).logits

    np.testing.assert_allclose(
        logits(temperature_logits=4.0), logits() / 4, rtol=1e-6, atol=1e-9
    )


def test_arrays_that_do_not_decay_stay() -> None:
    # Adam with an epsilon that stops all steps: only the decay moves weights.
    keys = {"optimizer": "adamw", "momentum": None, "epsilon": 1e30}
    keys |= {"weight_decay": 0.5, "learning_rate": 0.1, "alpha": 1.0}
    keys |= {"model": "token_mlp", "depth": 1, "embedding": 4, "bias": True}
    keys |= {"alpha_convention": "standard"}  # whose biases are not 0
    before, after = weights(1, **keys, decay_bias=False, decay_embedding=False)
    for name in ("embedding", "first_bias", "readout_bias"):
        np.testing.assert_array_equal(before[name], after[name])
    for name in ("first", "readout"):
        np.testing.assert_allclose(after[name], 0.95 * before[name], rtol=1e-5)
    before, after = weights(1, **keys)
    for name in before:
        np.testing.assert_allclose(after[name], 0.95 * before[name], rtol=1e-5)


@pytest.mark.slow
def test_normal_weights_have_the_variance_of_their_inputs() -> None:
    keys = {"model": "token_mlp", "depth": 2, "embedding": 64, "width": 200}
    keys |= {"alpha_convention": "normal", "alpha": 2.0, "modulus": 31}
    (drawn,) = weights(0, **keys)
    for name, fan_in in (("embedding", 64), ("first", 128), ("hidden_2", 200)):
        assert np.std(drawn[name]) == pytest.approx(2 / fan_in**0.5, rel=0.05)
    assert np.std(drawn["readout"]) == pytest.approx(2 / 200**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"filter_decay": 0.9}, "filter_decay: goes with filter_strength"),
        ({"filter_window": 9}, "filter_window: goes with filter_strength"),
        ({"norm_clamp_step": 9}, "norm_clamp_step: goes with norm_clamp"),
        ({"norm_clamp_step": 9, "norm_clamp": [0.0, 1.0]}, "goes with norm_clamp"),
        ({"schedule": "cosine"}, "needs the step at which it ends"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ({"schedule_steps": 9}, "schedule_steps: ignored by"),
        ({"decay_bias": False}, "decay_bias = false: no biases are there"),
        ({"decay_embedding": False}, "models that do: token_mlp, transformer"),
    ],
)
def test_what_nothing_reads_is_an_error(keys: dict[str, Any], words: str) -> None:
    axes = {k: v for k, v in keys.items() if isinstance(v, list)}
    fixed = {k: v for k, v in keys.items() if k not in axes}
    with pytest.raises(SpecError, match=words.replace("?", r"\?")):
        read_sweep({**SMALL, **fixed, "axes": axes})
