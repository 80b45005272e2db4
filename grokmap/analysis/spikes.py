"""When singular values leave the bulk of the noise, run by run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from grokmap.analysis.series import Series, series

LASTING = 2.0  # factor of the step over which outliers must stay, so as not to flicker


def first_spikes(
    trajectories: pd.DataFrame, runs: pd.DataFrame, name: str = "bulk_outliers"
) -> pd.Series:
    """[runs] the first step from which outliers stay; NaN: there is none.

    Args:
      name: a recorded number of outliers, `bulk_outliers` or `motion_outliers`. They
        stay where each record has one until the step has doubled or the run ends; a
        run's last record alone does not count.
    """
    steps = {run_id: _first(curve) for run_id, curve in series(trajectories, name)}
    return pd.Series(runs["run_id"].map(steps).to_numpy(np.float64), runs.index)


def _first(curve: Series) -> float:
    """The first record outside of the bulk that others follow."""
    outside = curve.value >= 1
    for step in curve.step[outside][:-1]:
        later = (curve.step >= step) & (curve.step <= LASTING * max(step, 1))
        if later.sum() > 1 and outside[later].all():
            return float(step)
    return float("nan")
