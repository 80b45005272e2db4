"""What order parameters cost: their share of training time at the default cadence.

    python benchmarks/order_parameters.py        (part of `make bench`)

Two settings, a lane a core: p = 97, N = 256, quadratic, heavy ball, fraction 0.6; and
the survey's: p = 97, N = 512, relu, cross-entropy, AdamW, fraction 0.3. The cost of a
step and of a record of each quantity are measured in turn, several times, in one
process; shares follow for runs of several lengths, since records thin out as steps go
on. Whole trainings, with and without in turn, check the sum.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import numpy as np
from training import SETTINGS

from grokmap import devices, execute, plan, rates
from grokmap.spec import Sweep
from grokmap.train import VOCABULARY, names_by_cost

LENGTHS = (2_000, 5_000, 10_000, 22_000)
WHOLE = 1_500  # steps of the whole trainings
REPEATS = 3
COMMON = {"name": "cost", "task": "modular_addition", "modulus": 97, "alpha": 0.0}
SWEEPS: dict[str, dict[str, Any]] = {
    "quadratic": {**COMMON, **SETTINGS["quadratic"], "width": 256},
    "survey": {**COMMON, **SETTINGS["survey"], "width": 512},
}
FRACTIONS = {"quadratic": 0.6, "survey": 0.3}


def planned(setting: str, names: tuple[str, ...], n_steps: int) -> list[plan.Planned]:
    seeds = tuple(range(jax.local_device_count()))
    keys = {"order_parameters": names, "n_steps": n_steps, "seed": seeds}
    keys |= {"train_fraction": FRACTIONS[setting]}
    return plan.plan(Sweep.model_validate({**SWEEPS[setting], **keys}), VOCABULARY)


def all_names() -> tuple[str, ...]:
    table = VOCABULARY.order_parameters
    return tuple(n for n, entry in table.items() if entry.tasks != ())


def shares(
    rate: rates.Rate, alone: dict[str, float], runs: list[plan.Planned], steps: int
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


def whole_trainings(setting: str) -> list[float]:
    """Seconds with all order parameters over seconds without, in turn."""
    ratios = []
    for _ in range(3):
        seconds = []
        for names in (all_names(), ()):
            for done in execute.execute(planned(setting, names, WHOLE)):
                assert isinstance(done, execute.Done), done.trace
                seconds.append(done.seconds)
        ratios.append(seconds[0] / seconds[1])
    return ratios


def measure(setting: str) -> dict[str, Any]:
    runs = planned(setting, all_names(), 1000)
    system = runs[0].run.system
    settings = devices.choose_settings(system, runs)
    compiled = devices.compile_system(system, settings)
    found, costs = [], []
    for _ in range(REPEATS):
        found.append(rates.measure_rate(compiled, settings, runs))
        costs.append(rates.measure_costs(system, compiled, settings, runs))
    rate = rates.Rate(
        float(np.median([r.step for r in found])),
        {k: float(np.median([r.record[k] for r in found])) for k in found[0].record},
    )
    alone = {name: float(np.median([c[name] for c in costs])) for name in costs[0]}
    return {
        "shares": {steps: shares(rate, alone, runs, steps) for steps in LENGTHS},
        "steps_of_one": {name: each / rate.step for name, each in alone.items()},
        "whole": whole_trainings(setting),
        "expected": 1 + shares(rate, alone, runs, WHOLE)["all"],
    }


def main() -> None:
    devices.use_all_cores()
    report = {}
    for setting in SWEEPS:
        report[setting] = measure(setting)
        print(setting, report[setting], file=sys.stderr)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
