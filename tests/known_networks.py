"""What order parameters are worth in networks of known kind, by many seeds.

`python tests/known_networks.py` prints what `grokmap/order_parameters/table.py` claims.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from table_format import Stored, stored

from grokmap.analysis.series import values_at
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.order_parameters.table import Known

# sweeps/order-parameters.toml, by its task.
RESULTS = {
    "modular_addition": "order-parameters",
    "modular_multiplication": "order-parameters-multiplication",
}
FLOAT32 = 1e-6  # what is below it in numbers of order 1 is rounding


def of_known_kind(name: str, result: Stored) -> pd.DataFrame:
    """[kind, seed, value] of one quantity in the runs of a sweep of known networks."""
    runs, trajectories = result
    wanted = trajectories[["run_id", "step", name]]
    never, grok, lost = (
        runs[runs["phase"] == phase]
        for phase in ("memorize-only", "grok", "no-learning")
    )
    start = wanted[wanted["step"] == 0].set_index("run_id")[name]
    at_t_mem = [values_at(wanted, x, name, "t_mem") for x in (never, grok)]
    parts = [
        ("random", runs, runs["run_id"].map(start)),
        ("memorising", never, never[f"final_{name}"]),
        ("memorising", never, at_t_mem[0]),
        ("memorising", grok, at_t_mem[1]),
        ("grokked", grok, grok[f"final_{name}"]),
        ("collapsed", lost, lost[f"final_{name}"]),
    ]
    frames = [
        pd.DataFrame(
            {"kind": kind, "seed": own["seed"].to_numpy(), "value": np.asarray(values)}
        )
        for kind, own, values in parts
    ]
    # A network that has decayed below float32's reach has no value.
    return pd.concat(frames).dropna(ignore_index=True)


def at_twice_t_grok(name: str, result: Stored) -> pd.Series:
    """Values where a run that groks ends with the default `tail` of 1."""
    runs, trajectories = result
    grok = runs[runs["phase"] == "grok"]
    grok = grok.assign(twice=2 * grok["t_grok"].astype(float))
    wanted = trajectories[["run_id", "step", name]]
    return values_at(wanted, grok, name, "twice")


@cache
def measured() -> dict[str, pd.DataFrame]:
    """[task, kind, seed, value] of every quantity that has a claim, as committed."""
    results = {task: stored(result) for task, result in RESULTS.items()}
    names = [n for n, entry in ORDER_PARAMETERS.items() if entry.known is not None]
    return {
        name: pd.concat(
            [of_known_kind(name, r).assign(task=task) for task, r in results.items()]
        )
        for name in names
    }


def claim(name: str) -> Known:
    """The smallest and the largest value of each kind, rounded outward."""
    ends = measured()[name].groupby("kind")["value"].agg(["min", "max"])
    floor, ceiling = ORDER_PARAMETERS[name].bounds
    rounded = {
        kind: (
            max(floor, _rounded(ends.loc[kind, "min"], math.floor)),
            min(ceiling, _rounded(ends.loc[kind, "max"], math.ceil)),
        )
        for kind in Known._fields
    }
    return Known(**rounded)


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    """To two digits, and no finer than `FLOAT32`."""
    if value == 0:
        return 0.0
    digit = max(10.0 ** (math.floor(math.log10(abs(value))) - 1), FLOAT32)
    return float(f"{towards(value / digit) * digit:.3g}")


if __name__ == "__main__":
    for name in measured():
        print(f"{name}: {claim(name)}")
