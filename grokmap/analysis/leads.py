"""How each quantity moves through the transition: values, jumps, half-ways, leads.

Tables in, tables out. A quantity that spans decades (a loss, a signal-to-noise ratio)
is compared on a log scale, so that half-way is the geometric mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from grokmap.analysis.series import Series, log_time, series, value_at
from grokmap.analysis.statistics import auc
from grokmap.arrays import Floats
from grokmap.classify import GROK, MEMORIZE_ONLY

# Range from t_mem on, over the jump, above which a quantity has no half-way point.
STRAY = 1.5


def transitions(
    trajectories: pd.DataFrame, runs: pd.DataFrame, logs: Mapping[str, bool]
) -> pd.DataFrame:
    """One row for each quantity of each run that grokked after it memorised.

    Args:
      trajectories: run_id, step and quantities; runs: classified runs.
      logs: the quantities wanted, and whether each is compared on a log scale.

    Returns:
      run_id, quantity, before (value at t_mem), after (last value), jump (after -
      before, or log10(after / before) on a log scale), t_half (first step from t_mem
      on where half of the jump is made, interpolated in log time), lead = t_grok /
      t_half: above 1 for a quantity that moves before the test accuracy has. A quantity
      whose range from t_mem on exceeds STRAY jumps has no t_half. Undefined: NaN.
    """
    grokked = runs[
        (runs["phase"] == GROK) & runs["t_mem"].notna() & runs["t_grok"].notna()
    ]
    times = grokked.set_index("run_id")[["t_mem", "t_grok"]].astype(float)
    rows = [
        {
            "run_id": run_id,
            "quantity": name,
            **_transition(curve, times["t_mem"][run_id], times["t_grok"][run_id], log),
        }
        for name, log in logs.items()
        if name in trajectories
        for run_id, curve in series(trajectories, name)
        if run_id in times.index
    ]
    columns = ["run_id", "quantity", "before", "after", "jump", "t_half", "lead"]
    return pd.DataFrame(rows, columns=columns)


def _transition(
    curve: Series, t_mem: float, t_grok: float, log: bool
) -> dict[str, float]:
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = Series(curve.step, np.log10(curve.value) if log else curve.value)
    ends = np.array([value_at(scaled, t_mem), scaled.value[-1]])
    known = bool(np.isfinite(scaled.value[curve.step > t_mem]).all())
    jump = float(ends[1] - ends[0]) if known and np.isfinite(ends).all() else np.nan
    t_half = _crossing(scaled, t_mem, ends) if np.isfinite(jump) else np.nan
    return {
        "before": float(10 ** ends[0]) if log else float(ends[0]),
        "after": float(curve.value[-1]),
        "jump": jump,
        "t_half": t_half,
        "lead": t_grok / t_half if t_half > 0 else np.nan,
    }


def _crossing(curve: Series, start: float, ends: Floats) -> float:
    """First step from `start` on at which the value passes the middle of `ends`.

    NaN where the range of the value exceeds STRAY times the way between `ends`.
    """
    if ends[0] == ends[1]:
        return float("nan")
    late = curve.step > start
    step = np.append(start, curve.step[late])
    value = np.append(ends[0], curve.value[late])
    if np.ptp(value) > STRAY * abs(ends[1] - ends[0]):
        return float("nan")
    above = (value - ends.mean()) * np.sign(ends[1] - ends[0])
    # The last record stands at ends[1], so some record passes.
    i = int(np.argmax(above >= 0))
    if i == 0:
        return float(step[0])
    share = above[i - 1] / (above[i - 1] - above[i])
    low, high = log_time(step[i - 1]), log_time(step[i])
    return float(np.exp(low + share * (high - low)))


def summary(
    trajectories: pd.DataFrame, runs: pd.DataFrame, logs: Mapping[str, bool]
) -> pd.DataFrame:
    """One row a quantity: what it is in each phase, and how it moves where runs grok.

    Columns: quantity, log; for each phase P final_P (median of the last values); auc
    (probability that a grokked run's last value exceeds a memorising one's, ties
    half: 1/2 says nothing); before, after, jump (medians), t_half_over_t_grok; lead
    with lead_q25, lead_q75 (quartiles), n_runs (grokked runs with a half-way point).
    First movers first.
    """
    moves = transitions(trajectories, runs, logs)
    rows = []
    for name, log in logs.items():
        if name not in trajectories or trajectories[name].isna().all():
            continue
        selected = moves[moves["quantity"] == name]
        leads = selected["lead"].dropna()
        quartiles = (
            leads.quantile([0.25, 0.5, 0.75]).to_numpy() if len(leads) else [np.nan] * 3
        )
        rows.append(
            {
                "quantity": name,
                "log": log,
                **_final_by_phase(runs, name),
                "auc": _auc(runs, name),
                **selected[["before", "after", "jump"]].median().to_dict(),
                "t_half_over_t_grok": 1 / quartiles[1],
                "lead": quartiles[1],
                "lead_q25": quartiles[0],
                "lead_q75": quartiles[2],
                "n_runs": len(leads),
            }
        )
    return pd.DataFrame(rows).sort_values("lead", ascending=False, ignore_index=True)


def _final_by_phase(runs: pd.DataFrame, name: str) -> dict[str, float]:
    medians = runs.groupby("phase")[f"final_{name}"].median()
    return {f"final_{phase}": float(value) for phase, value in medians.items()}


def _auc(runs: pd.DataFrame, name: str) -> float:
    """Mann and Whitney's U over its largest value; NaN without runs of both phases."""
    values = runs[f"final_{name}"].astype(float)
    grokked = values[runs["phase"] == GROK].dropna().to_numpy()
    memorised = values[runs["phase"] == MEMORIZE_ONLY].dropna().to_numpy()
    return auc(grokked, memorised)


def aligned(
    trajectories: pd.DataFrame, runs: pd.DataFrame, name: str, times: Floats
) -> Floats:
    """[runs, len(times)] a quantity of the runs that grokked, at times step / t_grok.

    NaN where a run has no record on both sides.
    """
    grok = runs[(runs["phase"] == GROK) & (runs["t_grok"] > 0)]
    t_grok = grok.set_index("run_id")["t_grok"].astype(float)
    rows = [
        np.interp(
            np.log(times),
            log_time(curve.step) - np.log(t_grok[run_id]),
            curve.value,
            left=np.nan,
            right=np.nan,
        )
        for run_id, curve in series(trajectories, name)
        if run_id in t_grok.index
    ]
    return np.array(rows) if rows else np.empty((0, len(times)))
