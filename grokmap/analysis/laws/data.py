"""What the laws read: the runs that memorised, and what stays outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from grokmap.analysis.series import values_at
from grokmap.analysis.systems import system_of
from grokmap.arrays import Bools, Floats
from grokmap.classify import GROK

# Arrays [runs] of columns of `memorised`, and what the systems are; see `data_of`.
Data = dict[str, Any]

# Degree of f in the weights, of the activations that make it a form (homogeneous):
# those of `models`, which needs jax; a test compares them.
DEGREES = {"quadratic": 3, "relu": 2}
START, T_MEM = "start", "t_mem"


def memorised(trajectories: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs within the laws' scope, one row each.

    Args:
      trajectories: run_id, step, weight_norm; runs: classified runs.

    Returns:
      run_id, alpha, weight_decay, width, seed, decay_rate; t_mem; time (t_grok, or the
      last step of a run that has not grokked) and grokked; norm_mem and norm_grok
      (weight norm then; NaN if never); log_scale (see there); system, its axes in
      words ("all" if there is one).
    """
    grokked = (runs["phase"] == GROK).to_numpy() & (runs["t_grok"] > 0)
    lost = runs["diverged"] | runs["dead"] | runs["stalled"]
    inside = (runs["t_mem"] > 0) & (grokked | ~lost) & (runs["decay_rate"] > 0)
    in_scope = runs[inside.fillna(False).to_numpy(bool)]
    keys = ["run_id", "alpha", "weight_decay", "width", "seed", "decay_rate"]
    table = in_scope[keys].assign(
        t_mem=in_scope["t_mem"].astype(float),
        grokked=grokked.reindex(in_scope.index).to_numpy(bool),
        norm_mem=values_at(trajectories, in_scope, "weight_norm", "t_mem"),
        norm_grok=values_at(trajectories, in_scope, "weight_norm", "t_grok"),
        log_scale=log_scale(in_scope),
        system=system_of(in_scope),
    )
    time = in_scope["t_grok"].where(table["grokked"], in_scope["n_steps"])
    return table.assign(time=time.astype(float)).reset_index(drop=True)


def outside(runs: pd.DataFrame) -> dict[str, int]:
    """Runs outside the laws' scope, by the first reason that applies."""
    never = runs["t_mem"].isna()
    reasons = {
        "diverged": runs["diverged"],
        "dead": runs["dead"],
        "never memorised": never,
        "stalled": runs["stalled"],
        "no weight decay": runs["decay_rate"] <= 0,
    }
    left, counts = runs["phase"] != GROK, {}
    left |= runs["decay_rate"] <= 0
    for reason, holds in reasons.items():
        counts[reason] = int((left & holds).sum())
        left &= ~holds
    return counts


def log_scale(runs: pd.DataFrame) -> Floats:
    """[runs] ln(K) / L: log of the factor of the initial weights that makes a network
    as lazy as its K does, f being a form of degree L in them; NaN where f is no form,
    and for networks of other degrees than the two-layer one."""
    degree = runs["activation"].map(DEGREES).to_numpy(float)
    known = runs.get("model", "two_layer") == "two_layer"
    return np.where(known, np.log(laziness(runs)) / degree, np.nan)


def laziness(runs: pd.DataFrame) -> Floats:
    """[runs] K, the scale by which a mean-field network is multiplied (Kumar et al.,
    arXiv 2310.06110), by each convention of `models`; L is the degree."""
    alpha, width = runs["alpha"].to_numpy(float), runs["width"].to_numpy(float)
    degree = runs["activation"].map(DEGREES).to_numpy(float)
    scales = {
        "laziness": width**alpha,
        "literal": width ** (1 - alpha),
        "output_scale": alpha,
        "init_scale": alpha**degree,
        "survey_code": width ** (0.5 - (degree - 1) * alpha),
        "standard": alpha**degree,
        "normal": alpha**degree,
        "initial_std": width * alpha**degree,
    }
    rows = runs["alpha_convention"].map(list(scales).index).to_numpy(int)
    return np.array(list(scales.values()))[rows, np.arange(len(runs))]


def data_of(table: pd.DataFrame, clock: str) -> Data:
    """What the laws read of `memorised`: arrays [runs], with t_0 = 0 or t_mem."""
    systems, group = np.unique(table["system"].to_numpy(str), return_inverse=True)
    rate, decay = (table[k].to_numpy(float) for k in ("decay_rate", "weight_decay"))
    data: Data = {
        k: table[k].to_numpy(float) for k in ("t_mem", "time", "norm_mem", "log_scale")
    }
    t_0 = data["t_mem"] if clock == T_MEM else np.zeros(len(table))
    return data | {
        "grokked": table["grokked"].to_numpy(bool),
        "r": rate,
        "lambda": decay,
        "clock": rate / decay,
        "t_0": t_0,
        "group": group,
        "groups": len(systems),
        "systems": systems.tolist(),
    }


def part_of(data: Data, rows: Bools) -> Data:
    """The data of some runs; systems keep their numbers."""
    return {k: v[rows] if isinstance(v, np.ndarray) else v for k, v in data.items()}
