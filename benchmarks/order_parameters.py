"""What order parameters cost: their share of training time at the default cadence.

    python benchmarks/order_parameters.py        (part of `make bench`)

Two settings, a lane a core: p = 97, N = 256, quadratic, heavy ball, fraction 0.6; and
the survey's: p = 97, N = 512, relu, cross-entropy, AdamW, fraction 0.3. The cost of a
step and of a record of each cost class are measured in turn, several times, in one
process; shares follow for runs of several lengths, since records thin out as steps go
on. What each quantity costs alone is what `grokmap sweep --dry-run` measures.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import numpy as np
from training import SETTINGS

from grokmap import plan
from grokmap.engine import cost, devices
from grokmap.engine.compiled import compile_system
from grokmap.engine.records import n_records
from grokmap.engine.settings import choose_settings
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.spec import Sweep

LENGTHS = (2_000, 5_000, 10_000, 22_000)
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
    return plan.plan_runs(Sweep.model_validate({**SWEEPS[setting], **keys}))


def all_names() -> tuple[str, ...]:
    table = ORDER_PARAMETERS
    return tuple(n for n, entry in table.items() if entry.tasks != ())


def shares(rate: cost.Rate, steps: int, runs: list[plan.Planned]) -> float:
    """Added time over that of training without order parameters."""
    counts = n_records(steps, runs[0].run.system)
    base = steps * rate.step + counts["dense"] * rate.record["dense"]
    costs = ("cheap", "expensive")
    return sum(counts[name] * rate.record[name] for name in costs) / base


def measure(setting: str) -> dict[str, Any]:
    runs = planned(setting, all_names(), 1000)
    system = runs[0].run.system
    settings = choose_settings(system, runs)
    compiled = compile_system(system, settings)
    found = [cost.measure_rate(compiled, settings, runs) for _ in range(REPEATS)]
    rate = cost.Rate(
        float(np.median([r.step for r in found])),
        {k: float(np.median([r.record[k] for r in found])) for k in found[0].record},
    )
    return {
        "shares": {n: [shares(r, n, runs) for r in found] for n in LENGTHS},
        "records_in_steps": {k: each / rate.step for k, each in rate.record.items()},
        "compile_s": compiled.seconds,
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
