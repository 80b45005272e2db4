"""The three conditions of the survey's Goldilocks zone, run by run.

1. "Regularisation is strong enough that the memorisation solution is metastable (not
   the global minimum of F)": F = L + (lambda / 2N) |theta|^2, at its lowest while the
   run memorises and does not generalise, is above that of a network that generalises.
2. "... not so strong that the network cannot fit the training data at all".
3. "The signal learning rate is positive but slower than the noise learning rate": up to
   the step where the run memorises, the energy of the first layer's signal gains, but
   less than that of its noise (`slower`); or, of the outputs, f then has some energy in
   functions that generalise and more elsewhere (`slower_in_f`).

For outputs homogeneous of degree D in the weights, a network that fits exactly with the
squared norm C at K = N^alpha = 1 has, rescaled by s, the free energy

    F(s) = (1 - s^D)^2 + (lambda / 2N) C K^(-2/D) s^2

where targets have squared length 1; the least over s is `least_free_energy`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokmap.analysis.series import series, value_at
from grokmap.arrays import Bools, Floats
from grokmap.classify import GROK

CONDITIONS = ("metastable", "fits", "slower", "slower_in_f")
ZONES = {
    "zone": ("metastable", "fits", "slower"),
    "zone_in_f": ("metastable", "fits", "slower_in_f"),
}
TRIED = np.linspace(0.0, 1.0, 1001)  # of s
GENERALISES = 0.5  # test accuracy from which a run no longer memorises alone
FITTED = 0.05  # training loss below which a network counts as one that fits


def least_free_energy(decay: Floats, degree: int) -> Floats:
    """[k] least F over s; decay: [k] (lambda / 2N) C K^(-2/D). 1: that of f = 0."""
    scaled = (1 - TRIED**degree) ** 2 + np.asarray(decay)[:, None] * TRIED**2
    return scaled.min(axis=1)


def squared_norm_of_generalising(runs: pd.DataFrame, degree: int) -> float:
    """C: the least |theta|^2 K^(2/D) at the end of grokked runs that fit.

    NaN without such runs.
    """
    fitting = runs[(runs["phase"] == GROK) & (runs["final_train_loss"] < FITTED)]
    sizes = fitting["final_weight_norm"] ** 2 * _laziness(fitting) ** (2 / degree)
    return float(sizes.min()) if len(sizes) else float("nan")


def _laziness(runs: pd.DataFrame) -> pd.Series:
    return runs["width"].astype(float) ** runs["alpha"].astype(float)


def conditions(
    runs: pd.DataFrame, trajectories: pd.DataFrame, degree: int
) -> pd.DataFrame:
    """runs with the columns of `CONDITIONS` and `ZONES`, and what they are made of.

    Args:
      runs: with width, alpha (convention "laziness"), weight_decay, decay_rate, t_mem,
        phase and final values; trajectories: train_loss, train_accuracy,
        test_accuracy, weight_norm, signal_energy, noise_energy and function_snr.

    Returns:
      Also f_memorised (the lowest F from t_mem, or from where training accuracy is
      highest in a run that never memorises, while test accuracy is below
      GENERALISES; at that step itself where it is not), f_generalising
      (`least_free_energy`), foretold (the latter is below 1: that a network that fits
      is a minimum at all), gain_signal and gain_noise (of the energies, from the start
      to there, with what decay took added again).
    """
    at = _memorised(runs, trajectories)
    penalty = runs["weight_decay"] / (2 * runs["width"])
    size = squared_norm_of_generalising(runs, degree)
    decay = penalty * size * _laziness(runs) ** (-2 / degree)
    generalising = least_free_energy(decay.to_numpy(float), degree)
    rate = runs.set_index("run_id")["decay_rate"]
    gains = {
        f"gain_{name}": _gains(trajectories, at, rate, f"{name}_energy")
        for name in ("signal", "noise")
    }
    table = runs.assign(
        f_memorised=_memorising(runs.assign(penalty=penalty), trajectories, at),
        f_generalising=generalising,
        foretold=generalising < 1 - 1e-9,
        **gains,
    )
    slower = (table["gain_signal"] > 0) & (table["gain_signal"] < table["gain_noise"])
    ratio = _values(trajectories, at, "function_snr")
    table = table.assign(
        metastable=table["f_generalising"] < table["f_memorised"],
        fits=table["t_mem"].notna(),
        slower=slower,
        slower_in_f=(ratio > 0) & (ratio < 1),
    )
    zones = {name: table[[*keys]].all(axis=1) for name, keys in ZONES.items()}
    return table.assign(**zones)


def _memorised(runs: pd.DataFrame, trajectories: pd.DataFrame) -> pd.Series:
    """[run id] t_mem, or the step of the highest training accuracy."""
    ordered = trajectories.sort_values(["run_id", "step"], ignore_index=True)
    best = ordered.loc[ordered.groupby("run_id")["train_accuracy"].idxmax()]
    highest = best.set_index("run_id")["step"].astype(float)
    t_mem = runs.set_index("run_id")["t_mem"].astype(float)
    return t_mem.fillna(highest)


def _memorising(
    runs: pd.DataFrame, trajectories: pd.DataFrame, at: pd.Series
) -> Floats:
    """[runs] the lowest F of each run's memorising stage."""
    known = trajectories.dropna(subset=["train_loss", "weight_norm"])
    start = known["run_id"].map(at)
    alone = known["test_accuracy"] < GENERALISES
    stage = known[(known["step"] == start) | ((known["step"] > start) & alone)]
    penalty = stage["run_id"].map(runs.set_index("run_id")["penalty"])
    free = stage["train_loss"] + penalty * stage["weight_norm"] ** 2
    lowest = free.groupby(stage["run_id"]).min()
    return lowest.reindex(at.index).to_numpy(float)


def _values(trajectories: pd.DataFrame, at: pd.Series, name: str) -> Floats:
    found = {k: value_at(curve, at[k]) for k, curve in series(trajectories, name)}
    return np.array([found.get(run_id, np.nan) for run_id in at.index])


def _gains(
    trajectories: pd.DataFrame, at: pd.Series, rate: pd.Series, name: str
) -> Floats:
    """E(t) - E(0) + 2 r (integral of E), to each run's step."""
    found = {}
    for run_id, curve in series(trajectories, name):
        inside = curve.step <= at[run_id]
        step, value = curve.step[inside], curve.value[inside]
        lost = 2 * rate[run_id] * np.trapezoid(value, step)
        found[run_id] = value[-1] - value[0] + lost
    return np.array([found.get(run_id, np.nan) for run_id in at.index])


def scores(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """How far each of these columns of bools tells the runs that grok.

    Returns:
      condition, n (runs that meet it), precision (share of them that grok), recall
      (share of the grokked runs that meet it), base (share of all that grok).
    """
    grokked = (table["phase"] == GROK).to_numpy(bool)
    columns: dict[str, Bools] = {k: table[k].to_numpy(bool) for k in names}
    rows = [
        {
            "condition": name,
            "n": int(met.sum()),
            "precision": float(grokked[met].mean()) if met.any() else np.nan,
            "recall": float(met[grokked].mean()) if grokked.any() else np.nan,
            "base": float(grokked.mean()),
        }
        for name, met in columns.items()
    ]
    return pd.DataFrame(rows)
