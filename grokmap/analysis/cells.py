"""What a cell's few seeds say: P(phase), t_grok, and how far labels depend on bars.

Tables in, tables out. A cell is a set of runs that differ in their seeds alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from grokmap.analysis.boundaries import outcomes
from grokmap.analysis.statistics import (
    LEVEL,
    median_interval,
    median_survival,
    wilson,
)
from grokmap.arrays import Bools, Floats


def probabilities(
    runs: pd.DataFrame,
    axes: Sequence[str],
    grokked: Sequence[str],
    level: float = LEVEL,
    phases: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row a cell: P(phase) and t_grok over its seeds.

    Args:
      runs: classified runs. axes: the columns that tell cells apart.
      grokked: the phases that generalised.
      phases: those to give P of (default: all that some run has).

    Returns:
      The axes; n_runs; n_undecided (censored: they may still grok); for each phase P
      p_P with p_P_low, p_P_high (Wilson; of what the runs show so far); p_grok, of the
      decided runs (NaN: there is none), with p_grok_low, p_grok_high, which hold
      whatever the undecided runs would do: the low end counts them as not grokking, the
      high end as grokking; t_grok with t_grok_low, t_grok_high
      (Kaplan-Meier median in steps; inf: half the runs or more have not grokked, or
      never will; no interval of fewer than FEWEST runs).
    """
    phases = list(dict.fromkeys(runs["phase"])) if phases is None else phases
    rows = []
    for point, cell in runs.groupby(list(axes), sort=True):
        yes, undecided = map(np.asarray, outcomes(cell, grokked))
        n, k, open_ = len(cell), int(yes.sum()), int(undecided.sum())
        row = dict(zip(axes, point, strict=True)) | {"n_runs": n, "n_undecided": open_}
        for phase in phases:
            row |= _share(f"p_{phase}", int((cell["phase"] == phase).sum()), n, level)
        row |= {
            "p_grok": k / (n - open_) if n > open_ else np.nan,
            "p_grok_low": float(wilson(k, n, level)[0]),
            "p_grok_high": float(wilson(k + open_, n, level)[1]),
        }
        median = median_interval(*waited(cell, "t_grok", grokked), level)
        row |= dict(zip(("t_grok", "t_grok_low", "t_grok_high"), median, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


TIMES = ("t_mem", "t_grok", "delay")
QUARTILES = {"_q25": 0.75, "": 0.5, "_q75": 0.25}  # the share that is left there


def waited(
    runs: pd.DataFrame, name: str, grokked: Sequence[str]
) -> tuple[Floats, Bools]:
    """(times, happened), each [runs], of one of TIMES, as `median_survival` takes them.

    Where it has not happened, times are the last step of runs that are undecided (of a
    delay the steps since t_mem), and inf of those that are decided: it never will.

    grokked: the phases that generalised.
    """
    yes, undecided = map(np.asarray, outcomes(runs, grokked))
    happened = runs["t_mem"].notna().to_numpy() if name == "t_mem" else yes
    known = runs[name].astype(float).to_numpy(float, na_value=np.nan)
    last = runs["n_steps"].astype(float).to_numpy(float)
    if name == "delay":
        since = runs["t_mem"].astype(float).to_numpy(float, na_value=np.nan)
        last = last - np.where(np.isnan(since), last, since)
    times = np.where(happened, known, np.where(undecided, last, np.inf))
    return times, happened


def quartiles(
    runs: pd.DataFrame, axes: Sequence[str], grokked: Sequence[str]
) -> pd.DataFrame:
    """One row a cell: medians and quartiles of TIMES over its seeds, in steps.

    By Kaplan and Meier, who take runs that are undecided for what they are; inf: it is
    beyond what the runs show, or never.

    Returns:
      The axes, and of each time T: T_q25, T, T_q75.
    """
    known = {name: waited(runs, name, grokked) for name in TIMES}
    places = runs.groupby(list(axes), sort=True).ngroup().to_numpy()
    rows = []
    for place in range(places.max() + 1):
        here = np.flatnonzero(places == place)
        row = runs[[*axes]].iloc[here[0]].to_dict()
        for name, (times, happened) in known.items():
            pair = times[here], happened[here]
            for end, left in QUARTILES.items():
                row[name + end] = float(median_survival(*pair, share=left))
        rows.append(row)
    return pd.DataFrame(rows)


def _share(name: str, k: int, n: int, level: float) -> dict[str, float]:
    low, high = wilson(k, n, level)
    return {name: k / n, f"{name}_low": float(low), f"{name}_high": float(high)}


def sensitivity(
    labels: Mapping[str, pd.DataFrame], axes: Sequence[str]
) -> pd.DataFrame:
    """One row a cell: the share of its runs that other rules label otherwise.

    Args:
      labels: classified runs by the name of their rules, all with the same names of
        phases; the first are the ones compared with.

    Returns:
      The axes; changed (share of runs whose phase any of the others changes), and
      changed_NAME of each other set of rules.
    """
    (_, base), *others = labels.items()
    table = base[[*axes, "run_id"]].copy()
    phase = base.set_index("run_id")["phase"]
    for name, runs in others:
        other = runs.set_index("run_id")["phase"].reindex(phase.index)
        table[f"changed_{name}"] = (other != phase).to_numpy()
    columns = [f"changed_{name}" for name, _ in others]
    table.insert(len(axes), "changed", table[columns].any(axis=1))
    return table.groupby(list(axes))[["changed", *columns]].mean().reset_index()
