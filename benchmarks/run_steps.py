"""Run-steps per second of grokmap against a hand-written loop, in one process.

    make bench

Both train the quickstart's network (p = 23, N = 128, fraction 0.6, quadratic, mse,
heavy ball). The hand-written loop is what a careful user writes: jit(vmap(step)) called
from Python, state donated, evaluated at the same steps. Prints a table and JSON; the
ratio is the claim, single rates depend on the machine.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokmap import execute, plan
from grokmap.spec import read_sweep
from grokmap.train import VOCABULARY

LANES, STEPS, REPEATS = 8, 4096, 5
SWEEP = Path(__file__).parents[1] / "sweeps/quickstart.toml"


def planned() -> list[plan.Planned]:
    overrides = (
        *("alpha=0.2", "weight_decay=0.01", f"seed=range:0:{LANES}:1"),
        'order_parameters=["snr","rqi"]',
    )
    sweep = read_sweep(SWEEP, overrides, vocabulary=VOCABULARY)
    runs = plan.plan(sweep, VOCABULARY)
    return [run._replace(n_steps=STEPS) for run in runs]


def grokmap_loop(runs: list[plan.Planned]) -> Callable[[], None]:
    settings = execute.choose_settings(runs[0].run.system, runs, LANES)
    compiled = execute.compile_system(runs[0].run.system, settings)
    (batch,) = plan.batches(runs, settings.lanes)

    def train() -> None:
        execute.run_batch(batch, compiled, settings, lambda p: None, lambda: False)

    return train


def hand_written_loop(runs: list[plan.Planned]) -> Callable[[], None]:
    system, control = runs[0].run.system, runs[0].run.control
    p, width = system.modulus, system.width
    a, b = (jnp.asarray(x.ravel()) for x in np.indices((p, p)))
    label = (a + b) % p
    n_train = round(control.train_fraction * p * p)
    prefactor = width ** (control.alpha - 1)
    rate = control.learning_rate * width ** (1 - 2 * control.alpha)
    decay = control.weight_decay / width

    def init(key: jax.Array) -> tuple[Any, Any, jax.Array]:
        one, two, three = jax.random.split(key, 3)
        params = {
            "first": jax.random.normal(one, (2 * p, width)),
            "readout": jax.random.normal(two, (width, p)),
        }
        velocity = jax.tree.map(jnp.zeros_like, params)
        return params, velocity, jax.random.permutation(three, p * p)

    def logits(params: Any, rows: jax.Array) -> jax.Array:
        hidden = params["first"][a[rows]] + params["first"][p + b[rows]]
        return prefactor * jnp.square(hidden) @ params["readout"]

    def loss(params: Any, rows: jax.Array) -> jax.Array:
        error = logits(params, rows) - jax.nn.one_hot(label[rows], p)
        return jnp.sum(jnp.square(error)) / n_train

    def step(params: Any, velocity: Any, order: jax.Array) -> tuple[Any, Any]:
        grads = jax.grad(loss)(params, order[:n_train])
        velocity = jax.tree.map(
            lambda v, g, w: control.momentum * v + g + decay * w,
            velocity,
            grads,
            params,
        )
        return jax.tree.map(lambda w, v: w - rate * v, params, velocity), velocity

    def evaluate(params: Any, order: jax.Array) -> jax.Array:
        right = jnp.argmax(logits(params, order), axis=-1) == label[order]
        return jnp.stack([jnp.mean(right[:n_train]), jnp.mean(right[n_train:])])

    steps = jax.jit(jax.vmap(step), donate_argnums=(0, 1))
    evaluates = jax.jit(jax.vmap(evaluate))
    records = set(plan.record_grid(STEPS, system.records_per_octave).tolist())

    def train() -> None:
        params, velocity, order = jax.vmap(init)(
            jax.random.split(jax.random.key(0), LANES)
        )
        kept = []
        for i in range(1, STEPS + 1):
            params, velocity = steps(params, velocity, order)
            if i in records:
                kept.append(np.asarray(evaluates(params, order)))

    return train


def seconds(train: Callable[[], None]) -> float:
    started = time.perf_counter()
    train()
    return time.perf_counter() - started


def main() -> None:
    execute.use_all_cores()
    runs = planned()
    loops = {"grokmap": grokmap_loop(runs), "jit(vmap(step))": hand_written_loop(runs)}
    for train in loops.values():
        train()  # compiles and warms up
    # In turn, so that a change of the machine's speed meets both.
    times = [
        {name: seconds(train) for name, train in loops.items()} for _ in range(REPEATS)
    ]
    rates = {
        name: LANES * STEPS / np.median([time[name] for time in times])
        for name in loops
    }
    ratios = [time["jit(vmap(step))"] / time["grokmap"] for time in times]
    for name, rate in rates.items():
        print(f"{name:<16} {rate:10.0f} run-steps/s")
    spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"{'ratio':<16} {np.median(ratios):10.2f}  {spread}")
    print(
        json.dumps(
            {
                "run_steps_per_s": rates,
                "ratio": {"median": np.median(ratios), "all": ratios},
                "lanes": LANES,
                "steps": STEPS,
                "devices": jax.local_device_count(),
                "jax": jax.__version__,
                "machine": platform.machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
