"""Run-steps per second of training, against three others, in one session.

    python benchmarks/training.py [rounds [case ...]]     (part of `make bench`)

Each round times, one after the other: grokmap's own compiled chunk, a lane a core; a
PyTorch loop (`pytorch_loop.py`) as one process a core and as one process on all cores,
with one-hot inputs and with embeddings; and a hand-written jit(vmap(step)) loop. Right
before and after grokmap's turn, products of matrices, the highest rate of several
shapes. All loops evaluate
losses and accuracies on the whole table every `INTERVAL` steps, the cadence that 64
records an octave have from step 8192 on. Networks: quadratic, mse, heavy ball, train
fraction 0.6; the survey's setting: relu, biases, cross-entropy, AdamW, fraction 0.3.

Ratios are of one round; their median, lowest and highest are kept. The share of the
matmul rate counts the readout's products alone: 6 n N p flops a step.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grokmap import plan
from grokmap.engine import cost, devices, execute
from grokmap.engine.compiled import SLOTS, compile_system, compiler_options, on_lanes
from grokmap.engine.records import Slots
from grokmap.engine.settings import Settings, choose_settings
from grokmap.engine.target import local_target
from grokmap.spec import Sweep

HERE = Path(__file__).parent
INTERVAL = 128
SECONDS = 2.5  # of each measurement, about
VMAPPED_LANES = 8
SHAPES = ((1024, 1024, 1024), (512, 512, 512), (512, 512, 97), (512, 97, 512))


class Case(NamedTuple):
    setting: str
    modulus: int
    width: int
    train_fraction: float

    @property
    def n_train(self) -> int:
        return round(self.train_fraction * self.modulus**2)

    @property
    def flops(self) -> int:
        return 6 * self.n_train * self.width * self.modulus


CASES = (
    Case("quadratic", 17, 64, 0.6),
    Case("quadratic", 23, 128, 0.6),
    Case("quadratic", 59, 256, 0.6),
    Case("quadratic", 97, 256, 0.6),
    Case("quadratic", 97, 512, 0.6),
    Case("survey", 97, 512, 0.3),
)
SETTINGS: dict[str, dict[str, Any]] = {
    "quadratic": {"momentum": 0.9, "learning_rate": 0.05, "weight_decay": 1e-3},
    "survey": {
        "activation": "relu",
        "bias": True,
        "alpha_convention": "survey_code",
        "loss": "cross_entropy",
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "weight_decay": 1.0,
    },
}


def planned(case: Case, lanes: int, precision: str = "float32") -> list[plan.Planned]:
    sweep = Sweep.model_validate(
        {
            "name": "bench",
            "task": "modular_addition",
            "modulus": case.modulus,
            "width": case.width,
            "alpha": 0.0,
            "train_fraction": case.train_fraction,
            "seed": tuple(range(lanes)),
            "n_steps": 1_000_000,
            "order_parameters": (),
            "precision": precision,
            **SETTINGS[case.setting],
        }
    )
    return plan.plan_runs(sweep)


def grokmap_rate(case: Case) -> Callable[[int], float]:
    """steps -> run-steps/s of the engine's own chunks."""
    runs = planned(case, jax.local_device_count())
    system = runs[0].run.system
    settings = choose_settings(system, runs)
    compiled = compile_system(system, settings)
    lanes = cost.sample(compiled, settings, runs)

    def chunk(lanes: Any, records: int, interval: int) -> Any:
        shape = (settings.lanes, SLOTS)
        never, n = np.zeros(shape, bool), np.full(settings.lanes, records, np.int32)
        slots = Slots(np.full(shape, interval, np.int32), never, never, n)
        lanes, rows = compiled.chunk(lanes, slots)
        return lanes, np.asarray(rows)

    lanes, _ = chunk(lanes, 1, 3)
    # A chunk is as long as the engine's own.
    records = max(1, round(execute.Tuning().cpu_chunk_flops / case.flops / INTERVAL))

    def rate(steps: int) -> float:
        nonlocal lanes
        steps = max(1, steps // (INTERVAL * records)) * INTERVAL * records
        started = time.perf_counter()
        for _ in range(steps // (INTERVAL * records)):
            lanes, _ = chunk(lanes, records, INTERVAL)
        return settings.lanes * steps / (time.perf_counter() - started)

    return rate


def pytorch_rate(
    case: Case, first_layer: str, processes: int
) -> Callable[[int], float]:
    """steps -> run-steps/s of as many processes, which share the cores."""
    cores = jax.local_device_count()

    def rate(steps: int) -> float:
        options = {
            **case._asdict(),
            "first_layer": first_layer,
            "threads": cores // processes,
            "steps": steps,
            "interval": INTERVAL,
        }
        command = [sys.executable, str(HERE / "pytorch_loop.py"), json.dumps(options)]
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        return sum(float(process.communicate()[0]) for process in running)

    return rate


def vmap_rate(case: Case) -> Callable[[int], float]:
    """steps -> run-steps/s of jit(vmap(step)) called from Python, state donated."""
    p, width, n_train = case.modulus, case.width, case.n_train
    a, b = (jnp.asarray(x.ravel()) for x in np.indices((p, p)))
    label = (a + b) % p
    prefactor, rate_, decay, beta = 1 / width, 0.05 * width, 1e-3 / width, 0.9

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

    def losses(params: Any, rows: jax.Array) -> jax.Array:
        error = logits(params, rows) - jax.nn.one_hot(label[rows], p)
        return jnp.sum(jnp.square(error), axis=-1)

    def step(params: Any, velocity: Any, order: jax.Array) -> tuple[Any, Any]:
        grads = jax.grad(lambda w: jnp.sum(losses(w, order[:n_train])) / n_train)(
            params
        )
        velocity = jax.tree.map(
            lambda v, g, w: beta * v + g + decay * w, velocity, grads, params
        )
        return jax.tree.map(lambda w, v: w - rate_ * v, params, velocity), velocity

    def evaluate(params: Any, order: jax.Array) -> jax.Array:
        right = jnp.argmax(logits(params, order), axis=-1) == label[order]
        both = jnp.stack([right.astype(jnp.float32), losses(params, order)])
        return jnp.stack(
            [both[:, :n_train].mean(axis=1), both[:, n_train:].mean(axis=1)]
        )

    steps_of = jax.jit(jax.vmap(step), donate_argnums=(0, 1))
    evaluates = jax.jit(jax.vmap(evaluate))
    keys = jax.random.split(jax.random.key(0), VMAPPED_LANES)
    params, velocity, order = jax.vmap(init)(keys)
    params, velocity = steps_of(params, velocity, order)
    jax.block_until_ready(evaluates(params, order))

    def rate(steps: int) -> float:
        nonlocal params, velocity
        started = time.perf_counter()
        for i in range(1, steps + 1):
            params, velocity = steps_of(params, velocity, order)
            if i % INTERVAL == 0:
                np.asarray(evaluates(params, order))
        jax.block_until_ready(params)
        return VMAPPED_LANES * steps / (time.perf_counter() - started)

    return rate


def matmul_rate(shape: tuple[int, int, int]) -> Callable[[], float]:
    """() -> flops per second of a product [m, k] @ [k, n] on every core at once."""
    m, k, n = shape
    cores = jax.local_device_count()
    left, right = jnp.ones((cores, m, k)), jnp.ones((cores, k, n))
    repeats = max(1, int(1e10 / (2 * m * k * n)))

    def products(left: jax.Array, right: jax.Array) -> jax.Array:
        def again(_: jax.Array, before: jax.Array) -> jax.Array:
            # Bound to the product before, so that none can be left out.
            return left @ (right + 1e-30 * before[0, 0])

        return jax.lax.fori_loop(0, repeats, again, jnp.zeros((m, n)))

    target = local_target()
    settings = Settings(target, cores, 1, 1, "gather", False, "float32")
    run = jax.jit(on_lanes(products, settings))
    run = run.lower(left, right).compile(compiler_options(target))
    jax.block_until_ready(run(left, right))

    def rate() -> float:
        started = time.perf_counter()
        jax.block_until_ready(run(left, right))
        seconds = time.perf_counter() - started
        return cores * repeats * 2 * m * k * n / seconds

    return rate


def highest(products: list[Callable[[], float]]) -> float:
    return max(product() for product in products)


def steps_for(rate: float) -> int:
    """Steps of one lane that take about `SECONDS`, in whole intervals."""
    return max(1, round(rate * SECONDS / INTERVAL)) * INTERVAL


def measure(
    case: Case, rounds: int, products: list[Callable[[], float]]
) -> tuple[dict[str, list[float]], list[float]]:
    """Rates of every loop, a list over rounds, each loop once a round; and the highest
    rate of `products` right before and after grokmap's turn of each round."""
    cores = jax.local_device_count()
    loops: dict[str, Callable[[int], float]] = {"grokmap": grokmap_rate(case)}
    for first_layer in ("one_hot", "embedding"):
        loops[f"pytorch, {first_layer}, {cores} processes"] = pytorch_rate(
            case, first_layer, cores
        )
        loops[f"pytorch, {first_layer}, {cores} threads"] = pytorch_rate(
            case, first_layer, 1
        )
    if case.setting == "quadratic":
        loops["jit(vmap(step))"] = vmap_rate(case)
    lanes = {"jit(vmap(step))": VMAPPED_LANES}
    found: dict[str, list[float]] = {name: [] for name in loops}
    peaks: list[float] = []
    steps = {name: INTERVAL for name in loops}
    for i in range(rounds + 1):
        for name, rate in loops.items():
            before = highest(products) if name == "grokmap" else 0.0
            value = rate(steps[name])
            if name == "grokmap" and i:
                peaks.append(max(before, highest(products)))
            # The first round finds how many steps are long enough to time.
            steps[name] = steps_for(value / lanes.get(name, cores))
            found[name] += [value] if i else []
        print(
            case,
            peaks,
            {k: f"{v[-1]:.4g}" for k, v in found.items() if v},
            file=sys.stderr,
        )
    return found, peaks


def main() -> None:
    devices.use_all_cores()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cases = [CASES[int(i)] for i in sys.argv[2:]] or CASES
    products = [matmul_rate(shape) for shape in SHAPES]
    report = []
    for case in cases:
        rates_, peaks = measure(case, rounds, products)
        report.append(
            {
                **case._asdict(),
                "flops_a_step": case.flops,
                "run_steps_per_s": rates_,
                "matmul_flops_per_s": peaks,
            }
        )
    print(json.dumps({"interval": INTERVAL, "cases": report}))


if __name__ == "__main__":
    main()
