"""Where the time of training goes, piece by piece, on all cores at once.

    python benchmarks/breakdown.py            (part of `make bench`)

Times the engine's own step and records, and beside them the parts of a step as programs
of their own on one tile after the other: the three products with the readout, the first
layer, its gradient. What a step takes beyond them is the rest: activation, loss, sums
over tiles, optimizer, and the reading of memory between them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from training import CASES, Case

from grokmap import devices, plan, rates
from grokmap.models import KERNELS
from grokmap.spec import Sweep
from grokmap.train import VOCABULARY

REPEATS = 5


def seconds(call: Callable[[], Any]) -> float:
    return float(np.median([rates.seconds_of(call, 1) for _ in range(REPEATS)]))


def seconds_of_part(function: Callable[..., Any], *shapes: tuple[int, ...]) -> float:
    """Seconds of `function` of fresh arrays on each core, many times in one program."""
    cores, repeats = jax.local_device_count(), 64
    arrays = [jnp.ones((cores, *shape)) for shape in shapes]

    def again(*own: jax.Array) -> jax.Array:
        small = min(range(len(own)), key=lambda i: own[i].size)

        def once(_: jax.Array, before: jax.Array) -> jax.Array:
            # Bound to the call before by the smallest array, so that none is left out.
            bound = own[small] + 1e-30 * jnp.ravel(before)[0]
            return function(*own[:small], bound, *own[small + 1 :])

        return jax.lax.fori_loop(0, repeats, once, jnp.zeros_like(function(*own)))

    run = jax.jit(devices.on_lanes(again, together=False))
    compiled = run.lower(*arrays).compile(devices.compiler_options())
    return seconds(lambda: compiled(*arrays)) / repeats


def parts_of(case: Case, settings: devices.Settings) -> dict[str, float]:
    """Seconds of the parts of a step, over all tiles of a lane."""
    tile, width, p = settings.tile, case.width, case.modulus
    rng = np.random.default_rng(0)
    a, b = (jnp.asarray(rng.integers(0, p, tile), jnp.int32) for _ in range(2))
    gather = KERNELS["gather"]
    parts = {
        "logits: hidden @ readout.T": seconds_of_part(
            lambda s, w: s @ w.T, (tile, width), (p, width)
        ),
        "gradient of the readout: error.T @ hidden": seconds_of_part(
            lambda e, s: e.T @ s, (tile, p), (tile, width)
        ),
        "gradient of hidden: error @ readout": seconds_of_part(
            lambda e, w: e @ w, (tile, p), (p, width)
        ),
        "first layer: gather": seconds_of_part(
            lambda first: gather.embed(first, a, b), (2 * p, width)
        ),
        "its gradient: scatter-add": seconds_of_part(
            lambda slope, total: gather.add_gradient(total, a, b, slope),
            (tile, width), (2 * p, width),
        ),
    }  # fmt: skip
    return {name: settings.max_tiles * each for name, each in parts.items()}


def profile(case: Case) -> dict[str, Any]:
    names = tuple(n for n, e in VOCABULARY.order_parameters.items() if e.tasks != ())
    sweep = Sweep.model_validate(
        {
            "name": "profile",
            "task": "modular_addition",
            "modulus": case.modulus,
            "width": case.width,
            "alpha": 0.0,
            "weight_decay": 1e-3,
            "train_fraction": case.train_fraction,
            "learning_rate": 0.05,
            "momentum": 0.9,
            "n_steps": 1000,
            "order_parameters": names,
            "seed": tuple(range(jax.local_device_count())),
        }
    )
    runs = plan.plan(sweep, VOCABULARY)
    system = runs[0].run.system
    settings = devices.choose_settings(system, runs)
    compiled = devices.compile_system(system, settings)
    found = [rates.measure_rate(compiled, settings, runs) for _ in range(REPEATS)]
    step = float(np.median([r.step for r in found])) * settings.lanes
    records = {
        cost: float(np.median([r.record[cost] for r in found])) * settings.lanes / step
        for cost in found[0].record
    }
    return {
        "p": case.modulus,
        "N": case.width,
        "step_s": step,
        "parts_s": parts_of(case, settings),
        "records_in_steps": records,
        "records_of_22000": plan.n_records(22_000, system),
        "compile_s": compiled.seconds,
    }


def main() -> None:
    devices.use_all_cores()
    wanted = [CASES[3], CASES[4]]
    report = []
    for case in wanted:
        report.append(profile(case))
        print(report[-1], file=sys.stderr)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
