"""Local exponents of t_grok: how it goes with several axes at once, seed by seed.

t_grok = C x_1^-nu_1 x_2^-nu_2 ..., fitted to all memorised runs of one seed by
censored regression in log time (`laws.fitting`): a run that has not grokked contributes
the chance that it takes longer than its steps. Runs of one seed share their split and
their initial weights, so that they are not independent; seeds are, and intervals are
taken over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from grokmap.analysis.laws import fitting
from grokmap.analysis.laws.data import Data
from grokmap.analysis.laws.table import Law
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.classify import GROK

MIN_SEEDS = 6  # for an interval, as elsewhere
MIN_GROKKED = 6  # runs of a seed, in which each axis has two values or more


def exponents(runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """One row an axis: axis, exponent (mean over seeds), low, high, n_seeds.

    Args:
      runs: classified runs of one system, differing in axes and seed alone.
      axes: names of columns of positive numbers.

    Returns:
      The exponents nu; above 0 where t_grok falls. Seeds are left out with fewer than
      MIN_GROKKED grokked runs, or where those have one value of an axis. low and high:
      the 95% interval of Student's t, NaN with fewer than MIN_SEEDS seeds.
    """
    found = [
        _of_seed(seed, axes)
        for _, seed in runs[_inside(runs)].groupby("seed")
        if _enough(seed, axes)
    ]
    each = np.array(found).reshape(len(found), len(axes))
    mean, low, high = np.full((3, len(axes)), np.nan)
    if len(each):
        mean, low, high = student_interval(each.T)
    if len(each) < MIN_SEEDS:
        low, high = np.full((2, len(axes)), np.nan)
    columns = {"axis": list(axes), "exponent": mean, "low": low, "high": high}
    return pd.DataFrame(columns).assign(n_seeds=len(each))


def _inside(runs: pd.DataFrame) -> Any:
    """[runs] whether a run memorised, and was not lost before it could grok."""
    lost = runs["diverged"] | runs["dead"] | runs["stalled"]
    grokked = (runs["phase"] == GROK) & (runs["t_grok"] > 0)
    inside = (runs["t_mem"] > 0) & (grokked | ~lost)
    return inside.fillna(False).to_numpy(bool)


def _enough(runs: pd.DataFrame, axes: Sequence[str]) -> bool:
    grokked = runs[runs["phase"] == GROK]
    varied = all(grokked[axis].nunique() > 1 for axis in axes)
    return varied and len(grokked) >= MIN_GROKKED


def _of_seed(runs: pd.DataFrame, axes: Sequence[str]) -> Floats:
    logs = np.log(runs[list(axes)].to_numpy(float).T)  # [axes, runs]
    grokked = (runs["phase"] == GROK).to_numpy(bool)
    time = runs["t_grok"].where(grokked, runs["n_steps"]).to_numpy(float)
    centred = logs - logs[:, grokked].mean(axis=1, keepdims=True)
    data = {"time": time, "t_0": np.zeros_like(time), "grokked": grokked}
    law = Law("C prod x^-nu", "a local power law", ("C", *axes), _powers, _start)
    return fitting.fit(law, data | {"logs": centred}).p[1:-1]


def _powers(p: Floats, data: Data) -> Floats:
    return np.asarray(np.exp(np.clip(p[0] - p[1:] @ data["logs"], -600, 600)))


def _start(data: Data) -> list[list[float]]:
    typical = float(np.log(data["time"][data["grokked"]]).mean())
    return [[typical, *np.ones(len(data["logs"]))]]
