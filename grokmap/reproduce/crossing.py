"""When a recorded quantity first falls to a level, between two records."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd


def step_at(steps: npt.ArrayLike, values: npt.ArrayLike, level: float) -> float:
    """Step of the first fall to level, ln value linear in the step between records.

    steps, values: [n], values above 0. NaN if it never falls so far.
    """
    x, y = np.asarray(steps, float), np.log(np.asarray(values, float))
    below = np.flatnonzero(y <= np.log(level))
    if len(below) == 0:
        return float("nan")
    i = below[0]
    if i == 0:
        return float(x[0])
    share = (y[i - 1] - np.log(level)) / (y[i - 1] - y[i])
    return float(x[i - 1] + share * (x[i] - x[i - 1]))


def steps_at(trajectories: pd.DataFrame, column: str, level: float) -> pd.Series:
    """The same of each run, by run_id."""
    found = {
        name: step_at(own["step"], own[column], level)
        for name, own in trajectories.sort_values("step").groupby("run_id")
    }
    return pd.Series(found, dtype=float)
