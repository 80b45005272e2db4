"""One recorded quantity along one run, and its values between records."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Floats


class Series(NamedTuple):
    """One quantity along one run, where it was recorded: steps and values [k]."""

    step: Floats
    value: Floats


def series(trajectories: pd.DataFrame, name: str) -> Iterator[tuple[str, Series]]:
    """(run_id, series) of each run that has the quantity, in order of run and step."""
    known = trajectories.loc[trajectories[name].notna(), ["run_id", "step", name]]
    known = known.sort_values(["run_id", "step"])
    ids = known["run_id"].to_numpy()
    steps = known["step"].to_numpy(np.float64)
    values = known[name].to_numpy(np.float64)
    new = np.append(True, ids[1:] != ids[:-1])[: len(ids)]
    bounds: list[int] = [*np.flatnonzero(new).tolist(), len(ids)]
    for start, end in itertools.pairwise(bounds):
        yield str(ids[start]), Series(steps[start:end], values[start:end])


def log_time(step: Any) -> Any:
    """log of a step; step 0 stands at 1/2."""
    return np.log(np.maximum(step, 0.5))


def value_at(curve: Series, step: float) -> float:
    """The value at a step, between records linear in log time; NaN outside of them."""
    if not curve.step[0] <= step <= curve.step[-1]:
        return float("nan")
    return float(np.interp(log_time(step), log_time(curve.step), curve.value))


def values_at(
    trajectories: pd.DataFrame, runs: pd.DataFrame, name: str, when: str
) -> pd.Series:
    """[runs] values of a quantity at each run's `when`, a column such as t_mem."""
    steps = runs.set_index("run_id")[when].astype(float)
    values = {
        run_id: value_at(curve, steps[run_id])
        for run_id, curve in series(trajectories, name)
        if run_id in steps.index
    }
    return pd.Series(runs["run_id"].map(values).to_numpy(np.float64), runs.index)
