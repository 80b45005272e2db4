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
ALIKE = 1.6  # factor between decay rates that count as alike
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
    chosen = runs[inside].reset_index(drop=True)
    times = {k: chosen[k].astype(float) for k in ("t_mem", "t_grok", "n_steps")}
    return chosen.assign(**times)


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
        at = runs.assign(stop=stops(runs, k, unit))
        then = values_at(trajectories, at, "test_accuracy", "stop")
        lost = at["final_test_accuracy"] - then
        # A run of which there is no record at its stop had ended: nothing was lost.
        at = at.assign(
            stopped=at["stop"] < at["n_steps"],
            lost_final=lost.where(at["stop"] < at["n_steps"], 0.0),
            lost_peak=(at["peak_test_accuracy"] - then).fillna(0.0),
            missed=at["stop"] < at["t_grok"],
        )
        for phase, of_phase in at.groupby("phase"):
            quartiles = of_phase["lost_final"].quantile([0.25, 0.5, 0.75]).to_numpy()
            row = {"patience": k, "unit": unit, "phase": phase, "n_runs": len(of_phase)}
            row |= {
                "n_stopped": int(of_phase["stopped"].sum()),
                "lost_final": quartiles[1],
            }
            row |= {"lost_final_q25": quartiles[0], "lost_final_q75": quartiles[2]}
            row["lost_peak"] = of_phase[["lost_peak"]].median().iloc[0]
            row["missed"] = of_phase["missed"].mean() if phase == GROK else np.nan
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

    A budget cuts the runs of slow decay first, so that whatever goes with the decay
    rate tells runs apart, and nothing of what is seen at the stop: beside each AUC
    stands that of matched pairs, two runs of one system and of decay rates within a
    factor ALIKE; and RATE itself is the first row.

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
        at = runs.assign(stop=stops(runs, k, unit))
        sides = _sides(at)
        values = {(RATE, "value"): runs[RATE].astype(float)}
        for name in known:
            value = values_at(trajectories, at, name, "stop")
            change = value - before[name]
            if logs[name]:
                change = value / before[name].where(before[name] > 0)
            values |= {(name, "value"): value, (name, "change"): change}
        for (name, measure), at_stop in values.items():
            row = {"patience": k, "unit": unit, "quantity": name, "measure": measure}
            rows.append(row | _aucs(at.assign(value=at_stop), sides))
    return pd.DataFrame(rows)


def _sides(at: pd.DataFrame) -> dict[str, pd.Series]:
    """Runs that at the stop are still in training and have not grokked."""
    alive = at["stop"] <= at["n_steps"]
    waiting = alive & (at["phase"] != GROK)
    return {
        "later": alive & (at["t_grok"] > at["stop"]),
        "decided": waiting & ~at["censored"] & ~at["stalled"],
        "censored": waiting & at["censored"],
    }


def _aucs(at: pd.DataFrame, sides: dict[str, pd.Series]) -> dict[str, object]:
    known = {side: at[rows & at["value"].notna()] for side, rows in sides.items()}
    later, decided, censored = known.values()
    enough = min(len(later), len(decided)) >= FEWEST
    matched, n_pairs = matched_auc(later, decided)
    matched_censored, n_pairs_censored = matched_auc(later, censored)
    return {
        **{f"n_{side}": len(rows) for side, rows in known.items()},
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
