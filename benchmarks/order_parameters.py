"""What order parameters cost: their share of training time at the default cadence.

    python benchmarks/order_parameters.py        (part of `make bench`)

p = 97, N = 256, fraction 0.6, heavy ball, full batch, as many lanes as cores. The cost
of one step and of one record of each quantity are measured in turn, several times, in
one process; shares follow for runs of several lengths, since records thin out as steps
go on. Whole trainings, with and without in turn, check the sum.
"""

from __future__ import annotations

import json
import platform
import time

import jax
import numpy as np

from grokmap import execute, plan
from grokmap.spec import Sweep
from grokmap.train import VOCABULARY, names_by_cost

LENGTHS = (2_000, 5_000, 10_000, 20_000)
WHOLE = 1_500  # steps of the whole trainings
REPEATS = 3
SWEEP = {
    "name": "cost",
    "task": "modular_addition",
    "modulus": 97,
    "width": 256,
    "momentum": 0.9,
    "learning_rate": 0.05,
    "alpha": 0.0,
    "weight_decay": 1e-3,
    "train_fraction": 0.6,
}


def planned(names: tuple[str, ...], n_steps: int) -> list[plan.Planned]:
    seeds = tuple(range(jax.local_device_count()))
    keys = {"order_parameters": names, "n_steps": n_steps, "seed": seeds}
    return plan.plan(Sweep.model_validate({**SWEEP, **keys}), VOCABULARY)


def all_names() -> tuple[str, ...]:
    table = VOCABULARY.order_parameters
    return tuple(n for n, entry in table.items() if entry.tasks != ())


def shares(
    rate: execute.Rate, alone: dict[str, float], runs: list[plan.Planned], steps: int
) -> dict[str, float]:
    """Added time over that of training without order parameters, by name and `all`."""
    system = runs[0].run.system
    counts = plan.n_records(steps, system)
    base = steps * rate.step + counts["dense"] * rate.record["dense"]
    added = {
        name: counts[cost] * alone[name] / base
        for cost, names in names_by_cost(system.order_parameters).items()
        if cost != "dense"
        for name in names
    }
    sparse = sum(counts[cost] * rate.record[cost] for cost in ("cheap", "dear"))
    return {"all": sparse / base, **added}


def whole_trainings() -> list[float]:
    """Seconds with all order parameters over seconds without, in turn."""
    loops = []
    for names in (all_names(), ()):
        runs = planned(names, WHOLE)
        system = runs[0].run.system
        settings = execute.choose_settings(system, runs)
        compiled = execute.compile_system(system, settings)
        (batch,) = plan.batches(runs, settings.lanes)
        loops.append((batch, compiled, settings))
    ratios = []
    for _ in range(2):
        seconds = []
        for loop in loops:
            started = time.perf_counter()
            execute.run_batch(*loop, lambda p: None, lambda: False)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    return ratios


def main() -> None:
    execute.use_all_cores()
    runs = planned(all_names(), 1000)
    system = runs[0].run.system
    settings = execute.choose_settings(system, runs)
    compiled = execute.compile_system(system, settings)
    rates, costs = [], []
    for _ in range(REPEATS):
        rates.append(execute.measure_rate(compiled, settings, runs))
        costs.append(execute.measure_costs(system, compiled, settings, runs))
    rate = execute.Rate(
        float(np.median([r.step for r in rates])),
        {k: float(np.median([r.record[k] for r in rates])) for k in rates[0].record},
    )
    alone = {name: float(np.median([c[name] for c in costs])) for name in costs[0]}
    table = {steps: shares(rate, alone, runs, steps) for steps in LENGTHS}
    print("share of training time added, %, by steps of the run")
    print(f"{'':<24}{''.join(f'{n:>9}' for n in LENGTHS)}   cost of one, in steps")
    last = table[LENGTHS[-1]]
    for name in sorted(last, key=last.__getitem__, reverse=True):
        cells = "".join(f"{100 * table[n][name]:>9.2f}" for n in LENGTHS)
        each = f"{alone[name] / rate.step:>10.2f}" if name in alone else ""
        print(f"{name:<24}{cells}{each}")
    ratios = whole_trainings()
    expected = 1 + shares(rate, alone, runs, WHOLE)["all"]
    found = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"whole trainings of {WHOLE} steps, with over without: {found}")
    print(f"expected from the parts: {expected:.3f}")
    facts = {"table": table, "whole": ratios, "expected": expected}
    facts |= {"rate": rate._asdict()}
    facts |= {"jax": jax.__version__, "machine": platform.machine()}
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
