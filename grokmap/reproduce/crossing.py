"""When recorded quantities cross a bar: at a record, or between two of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd


def relative_to_start(trajectories: pd.DataFrame, *quantities: str) -> pd.DataFrame:
    """Trajectories with some quantities divided by each run's first record of them."""
    ordered = trajectories.sort_values(["run_id", "step"], ignore_index=True)
    names = list(quantities)
    return ordered.assign(
        **(ordered[names] / ordered.groupby("run_id")[names].transform("first"))
    )


def first_below(trajectories: pd.DataFrame, quantity: str, bar: float) -> pd.Series:
    """First recorded step at which a quantity lies below a bar, by run_id; NaN: never.

    Resolved as the records are: to 1 / records_per_octave.
    """
    below = trajectories[trajectories[quantity] < bar]
    steps = below.groupby("run_id")["step"].min().astype(float)
    return steps.reindex(trajectories["run_id"].unique())


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
    steps = {
        name: step_at(records["step"], records[column], level)
        for name, records in trajectories.sort_values("step").groupby("run_id")
    }
    return pd.Series(steps, dtype=float)
