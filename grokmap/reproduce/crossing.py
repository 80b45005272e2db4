"""When losses cross a bar."""

from __future__ import annotations

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
