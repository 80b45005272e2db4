"""What early stopping would have cost: a run is stopped some patience after t_mem.

    stop = t_mem + k * unit,    unit = t_mem, 1 / decay_rate, or one step.

Of the runs that memorised: how much test accuracy the stop would have lost, how many
that grok it would have missed, and whether anything recorded by then would have warned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.classify import GROK
from grokmap.errors import ResultError
from grokmap.transitions import auc, values_at

Floats = npt.NDArray[np.float64]

UNITS = ("t_mem", "decay-times", "steps")
PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FEWEST = 5  # runs on each side of an AUC
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
    own = runs[inside].reset_index(drop=True)
    times = {k: own[k].astype(float) for k in ("t_mem", "t_grok", "n_steps")}
    return own.assign(**times)


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
        for phase, own in at.groupby("phase"):
            quartiles = own["lost_final"].quantile([0.25, 0.5, 0.75]).to_numpy()
            row = {"patience": k, "unit": unit, "phase": phase, "n_runs": len(own)}
            row |= {"n_stopped": int(own["stopped"].sum()), "lost_final": quartiles[1]}
            row |= {"lost_final_q25": quartiles[0], "lost_final_q75": quartiles[2]}
            row["lost_peak"] = own["lost_peak"].median()
            row["missed"] = own["missed"].mean() if phase == GROK else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def warnings(
    trajectories: pd.DataFrame,
    runs: pd.DataFrame,
    logs: Mapping[str, bool],
    patience: Sequence[float] = PATIENCE,
    unit: str = "t_mem",
) -> pd.DataFrame:
    """Whether a quantity at the stop tells runs that grok later from those that do not.

    Args:
      runs: `memorised`; logs: the quantities, and whether each is on a log scale.

    Returns:
      One row for each patience, quantity and `measure` (its value at the stop, or its
      change since t_mem: a difference, or a ratio on a log scale): n_later runs that
      grok after the stop; n_decided runs that were followed to the end of their horizon
      without, and auc between the two (how often a later one has the higher value);
      n_censored runs cut by their budget, which may yet grok, and auc_against_censored.
      An AUC is null with fewer than FEWEST runs on a side; `verdict` says so.
    """
    rows = []
    known = [q for q in logs if q in trajectories]
    before = {q: values_at(trajectories, runs, q, "t_mem") for q in known}
    for k in patience:
        at = runs.assign(stop=stops(runs, k, unit))
        sides = _sides(at)
        for name in known:
            value = values_at(trajectories, at, name, "stop")
            change = value - before[name]
            if logs[name]:
                change = value / before[name].where(before[name] > 0)
            for measure, found in (("value", value), ("change", change)):
                row = {"patience": k, "unit": unit, "quantity": name}
                rows.append(row | {"measure": measure} | _aucs(found, sides))
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


def _aucs(found: pd.Series, sides: dict[str, pd.Series]) -> dict[str, object]:
    values = {
        side: found[rows].dropna().to_numpy(np.float64) for side, rows in sides.items()
    }
    enough = {side: len(own) >= FEWEST for side, own in values.items()}
    both = {side: enough["later"] and enough[side] for side in enough}
    return {
        **{f"n_{side}": len(own) for side, own in values.items()},
        "auc": auc(values["later"], values["decided"]) if both["decided"] else np.nan,
        "auc_against_censored": (
            auc(values["later"], values["censored"]) if both["censored"] else np.nan
        ),
        "verdict": "decided" if both["decided"] else UNDECIDABLE,
    }
