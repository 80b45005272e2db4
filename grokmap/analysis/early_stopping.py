"""What early stopping would have cost: a run is stopped some patience after t_mem.

    stop = t_mem + k * unit,    unit = t_mem, 1 / decay_rate, or one step.

Of the runs that memorised: how much test accuracy the stop would have lost, how many
that grok it would have missed, and whether anything recorded by then would have warned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from grokmap.analysis.series import values_at
from grokmap.analysis.statistics import auc
from grokmap.analysis.systems import ALL
from grokmap.classify import GROK
from grokmap.errors import ResultError

UNITS = ("t_mem", "decay-times", "steps")
PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FEWEST = 5  # runs on each side of an AUC
RATE = "decay_rate"  # known before training: what a warning has to beat
ALIKE = 1.6  # largest ratio of the decay rates of a matched pair
UNDECIDABLE = "undecidable in this sweep"


def memorised(runs: pd.DataFrame) -> pd.DataFrame:
    """The classified runs that memorised after step 0 and neither diverged nor died.

    Raises:
      ResultError: there is none.
    """
    lost = runs["diverged"] | runs["dead"]
    inside = ((runs["t_mem"] > 0) & ~lost).fillna(False).to_numpy(bool)
    if not inside.any():
        raise ResultError("no run memorised, so there is nothing to stop early")
    table = runs[inside].reset_index(drop=True)
    times = {k: table[k].astype(float) for k in ("t_mem", "t_grok", "n_steps")}
    return table.assign(**times)


def stops(runs: pd.DataFrame, patience: float, unit: str) -> pd.Series:
    """[runs] the step at which each of `memorised` would have been stopped."""
    units = {"t_mem": runs["t_mem"], "decay-times": 1 / runs["decay_rate"], "steps": 1}
    return runs["t_mem"] + patience * units[unit]


def losses(
    trajectories: pd.DataFrame,
    runs: pd.DataFrame,
    patience: Sequence[float] = PATIENCE,
    unit: str = "t_mem",
) -> pd.DataFrame:
    """One row for each patience and phase.

    Args:
      trajectories: run_id, step, test_accuracy; runs: `memorised`.

    Returns:
      patience, unit, phase, n_runs; n_stopped (the stop comes before their last step;
      the others end first and lose nothing); lost_final and lost_peak: medians over all
      n_runs of the final and the highest test accuracy minus that at the stop;
      lost_final_q25, lost_final_q75; missed: share stopped before their t_grok (null
      but for runs that grok).
    """
    rows = []
    for k in patience:
        with_stop = runs.assign(stop=stops(runs, k, unit))
        accuracy = values_at(trajectories, with_stop, "test_accuracy", "stop")
        lost = with_stop["final_test_accuracy"] - accuracy
        # A run without a record at its stop had already ended, so it loses nothing.
        with_stop = with_stop.assign(
            stopped=with_stop["stop"] < with_stop["n_steps"],
            lost_final=lost.where(with_stop["stop"] < with_stop["n_steps"], 0.0),
            lost_peak=(with_stop["peak_test_accuracy"] - accuracy).fillna(0.0),
            missed=with_stop["stop"] < with_stop["t_grok"],
        )
        for phase, part in with_stop.groupby("phase"):
            quartiles = part["lost_final"].quantile([0.25, 0.5, 0.75]).to_numpy()
            row = {"patience": k, "unit": unit, "phase": phase, "n_runs": len(part)}
            row |= {"n_stopped": int(part["stopped"].sum()), "lost_final": quartiles[1]}
            row |= {"lost_final_q25": quartiles[0], "lost_final_q75": quartiles[2]}
            row["lost_peak"] = part[["lost_peak"]].median().iloc[0]
            row["missed"] = part["missed"].mean() if phase == GROK else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def losses_by_system(
    trajectories: pd.DataFrame,
    runs: pd.DataFrame,
    patience: Sequence[float] = PATIENCE,
    unit: str = "t_mem",
) -> pd.DataFrame:
    """`losses` of all runs; of several systems also of each, named in `system`.

    runs: `memorised`, with `system` in words.
    """
    whole = losses(trajectories, runs, patience, unit)
    if runs["system"].nunique() < 2:
        return whole
    parts = {ALL: whole} | {
        name: losses(trajectories, rows, patience, unit)
        for name, rows in runs.groupby("system")
    }
    for name, part in parts.items():
        part.insert(0, "system", name)
    return pd.concat(parts.values(), ignore_index=True)


def warnings(
    trajectories: pd.DataFrame,
    runs: pd.DataFrame,
    logs: Mapping[str, bool],
    patience: Sequence[float] = PATIENCE,
    unit: str = "t_mem",
) -> pd.DataFrame:
    """Whether a quantity at the stop tells runs that grok later from those that do not.

    A budget cuts the runs of slow decay first, so that any quantity correlated with the
    decay rate separates the two groups, even if its value at the stop predicts nothing.
    So each AUC comes with that of matched pairs, two runs of one system and of decay
    rates within a factor ALIKE, and RATE itself is the first row.

    Args:
      runs: `memorised`, with `system`, its axes but alpha and weight decay in words;
        logs: the quantities, and whether each is on a log scale.

    Returns:
      One row for each patience, quantity and `measure` (its value at the stop, or its
      change since t_mem: a difference, or a ratio on a log scale): n_later runs that
      grok after the stop; n_decided runs that were followed to the end of their horizon
      without, and auc between the two (how often a later one has the higher value);
      n_censored runs cut by their budget, which may yet grok, and auc_against_censored;
      both again as matched and matched_against_censored, over n_pairs and
      n_pairs_censored. An AUC is null with fewer than FEWEST runs on a side; `verdict`
      says so.
    """
    rows = []
    known = [q for q in logs if q in trajectories]
    before = {q: values_at(trajectories, runs, q, "t_mem") for q in known}
    for k in patience:
        with_stop = runs.assign(stop=stops(runs, k, unit))
        sides = _sides(with_stop)
        values = {(RATE, "value"): runs[RATE].astype(float)}
        for name in known:
            value = values_at(trajectories, with_stop, name, "stop")
            change = value - before[name]
            if logs[name]:
                change = value / before[name].where(before[name] > 0)
            values |= {(name, "value"): value, (name, "change"): change}
        for (name, measure), column in values.items():
            row = {"patience": k, "unit": unit, "quantity": name, "measure": measure}
            rows.append(row | _aucs(with_stop.assign(value=column), sides))
    return pd.DataFrame(rows)


def _sides(runs: pd.DataFrame) -> dict[str, pd.Series]:
    """By group, the runs still in training at the stop that have not grokked yet."""
    alive = runs["stop"] <= runs["n_steps"]
    waiting = alive & (runs["phase"] != GROK)
    return {
        "later": alive & (runs["t_grok"] > runs["stop"]),
        "decided": waiting & ~runs["censored"] & ~runs["stalled"],
        "censored": waiting & runs["censored"],
    }


def _aucs(runs: pd.DataFrame, sides: dict[str, pd.Series]) -> dict[str, object]:
    groups = {side: runs[rows & runs["value"].notna()] for side, rows in sides.items()}
    later, decided, censored = groups.values()
    enough = min(len(later), len(decided)) >= FEWEST
    matched, n_pairs = matched_auc(later, decided)
    matched_censored, n_pairs_censored = matched_auc(later, censored)
    return {
        **{f"n_{side}": len(rows) for side, rows in groups.items()},
        "auc": plain_auc(later, decided),
        "auc_against_censored": plain_auc(later, censored),
        "matched": matched,
        "matched_against_censored": matched_censored,
        "n_pairs": n_pairs,
        "n_pairs_censored": n_pairs_censored,
        "verdict": "decided" if enough else UNDECIDABLE,
    }


def plain_auc(ones: pd.DataFrame, others: pd.DataFrame) -> float:
    """`auc` of the column `value`; NaN with fewer than FEWEST runs on a side."""
    if min(len(ones), len(others)) < FEWEST:
        return float("nan")
    return auc(*(side["value"].to_numpy(np.float64) for side in (ones, others)))


def matched_auc(ones: pd.DataFrame, others: pd.DataFrame) -> tuple[float, int]:
    """(AUC over the matched pairs, how many they are); NaN as in `plain_auc`.

    Args:
      ones, others: value, system, decay_rate.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.subtract.outer(
            *(np.log(x[RATE].to_numpy(float)) for x in (ones, others))
        )
    same = ones["system"].to_numpy()[:, None] == others["system"].to_numpy()
    paired = same & (np.abs(gap) <= np.log(ALIKE))
    n_pairs = int(paired.sum())
    if min(paired.any(axis=1).sum(), paired.any(axis=0).sum()) < FEWEST:
        return float("nan"), n_pairs
    one, other = (x["value"].to_numpy(np.float64) for x in (ones, others))
    wins = (one[:, None] > other) + 0.5 * (one[:, None] == other)
    return float(wins[paired].mean()), n_pairs
